// The socket through which `wg` and `culvert show` look at a device and change it.
#pragma once

#include <sys/types.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/io/unique_fd.hpp"
#include "culvert/runtime/bench_question.hpp"
#include "culvert/runtime/control_folders.hpp"
#include "culvert/runtime/device.hpp"

namespace culvert {

/// A file to be put in force on a running tunnel.
struct ReloadRequest {
  std::string path;      ///< absolute
  bool dry_run = false;  ///< only tell the differences
  /// "file=PATH" or "dry_run=true"; false for anything else.
  [[nodiscard]] bool read_line(std::string_view line);
};
struct ReloadAnswer {
  std::vector<std::string> differences;  ///< each a printable line
  std::string error;                     ///< a printable line; empty: done
};

/// Serves WireGuard's cross-platform configuration protocol on FOLDER/NAME.sock, mode 0600: get=1 and set=1, any number
/// of them on one connection. A set is one transaction: it is read to its end and checked before any of it is made.
/// What get answers has keys of our own, prefixed culvert_, that `wg` passes over. A third
/// and a fourth operation, culvert_reload=1 and culvert_bench=1, are ours. A client that is slow, silent or
/// talks nonsense holds up only itself: of more than clients_max the one that has been silent for longest is closed,
/// and so is one that has not asked or not read for `patience`. Lives on the io_context's thread.
class ControlSocket {
 public:
  static constexpr std::size_t clients_max = 64;

  /// Takes the path over from a process that is gone; throws std::system_error when a living one has it for longer than
  /// a moment.
  ControlSocket(boost::asio::io_context& io, Device& device, const std::string& name,
                const std::string& folder = std::string(control_socket_folder),
                std::chrono::seconds patience = std::chrono::seconds(30));
  /// Serves on a socket that somebody bound and listens on already, as WG_UAPI_FD hands it over; its file is theirs.
  ControlSocket(boost::asio::io_context& io, Device& device, UniqueFd listening,
                std::chrono::seconds patience = std::chrono::seconds(30));
  /// Removes the socket file if it is still ours.
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  /// Of the process that has connected, 0 for one in a PID namespace that is not to be seen from here: true closes the
  /// connection unread. All are welcome when not set.
  std::function<bool(pid_t)> is_refused;

  /// What culvert_reload=1 does; refused when not set. The request outlives the answer.
  std::function<boost::asio::awaitable<ReloadAnswer>(const ReloadRequest&)> on_reload;

  /// What culvert_bench=1 does, which asks the peer with this key whether it lets this end measure the tunnel; refused
  /// when not set.
  std::function<boost::asio::awaitable<BenchReply>(PublicKey)> on_bench;

  /// Calls `removed` once when the socket file is removed or replaced. Throws std::system_error.
  void watch_file(std::function<void()> removed);

 private:
  class Answer;
  boost::asio::awaitable<void> accept_clients();
  boost::asio::awaitable<void> serve(std::shared_ptr<boost::asio::local::stream_protocol::socket> client);
  boost::asio::awaitable<bool> answer_get(Answer& answer);
  void begin_get(Answer& answer);
  bool tell_peer(PeerId id, Answer& answer);
  boost::asio::awaitable<bool> answer_bench(const std::optional<PublicKey>& peer, Answer& answer);
  boost::asio::awaitable<bool> answer_reload(const ReloadRequest& request, Answer& answer);
  boost::asio::awaitable<void> follow_file(std::function<void()> removed);

  boost::asio::io_context& io_;
  Device& device_;
  std::string path_;
  std::chrono::seconds patience_;
  boost::asio::local::stream_protocol::acceptor acceptor_;
  std::optional<boost::asio::posix::stream_descriptor> file_watch_;
  std::uint64_t inode_ = 0;
  std::list<std::shared_ptr<boost::asio::local::stream_protocol::socket>> clients_;  ///< the longest silent first
};

}  // namespace culvert
