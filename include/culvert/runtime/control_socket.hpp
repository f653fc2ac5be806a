// The socket through which `wg` and `culvert show` look at a tunnel.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "culvert/runtime/tunnel.hpp"
#include "culvert/runtime/wiped_string.hpp"

namespace culvert {

/// Where WireGuard's tools look for sockets.
inline constexpr std::string_view control_socket_folder = "/var/run/wireguard";

/// Serves WireGuard's cross-platform configuration protocol on FOLDER/NAME.sock, mode 0600: the operation get=1; what
/// it answers has keys of our own, prefixed culvert_, that `wg` passes over. A client that is slow, silent or talks
/// nonsense holds up only itself: at most clients_max are served at a time, further ones are closed at once, and one
/// that has not asked or not read for `patience` is closed, too. Lives on the io_context's thread.
class ControlSocket {
 public:
  static constexpr unsigned clients_max = 64;

  /// Takes the path over from a process that is gone; throws std::system_error when a living one has it.
  ControlSocket(boost::asio::io_context& io, const Tunnel& tunnel,
                const std::string& folder = std::string(control_socket_folder),
                std::chrono::seconds patience = std::chrono::seconds(30));
  /// Removes the socket file if it is still ours.
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

 private:
  boost::asio::awaitable<void> accept_clients();
  boost::asio::awaitable<void> serve(boost::asio::local::stream_protocol::socket socket);

  boost::asio::io_context& io_;
  const Tunnel& tunnel_;
  std::string path_;
  std::chrono::seconds patience_;
  boost::asio::local::stream_protocol::acceptor acceptor_;
  std::uint64_t inode_ = 0;
  unsigned clients_ = 0;
};

/// The answer to get=1: device, then peers, then errno=0 and an empty line. Holds the private key.
[[nodiscard]] WipedString describe(const Tunnel& tunnel);

}  // namespace culvert
