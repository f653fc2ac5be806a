// The socket through which `wg` and `culvert show` look at a device and change it.
#include "culvert/runtime/control_socket.hpp"

#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "culvert/config/uapi_reader.hpp"
#include "culvert/crypto/aead.hpp"
#include "culvert/crypto/locked_buffer.hpp"
#include "culvert/io/clock.hpp"
#include "culvert/runtime/agreement_words.hpp"
#include "rethrow.hpp"

namespace culvert {
namespace asio = boost::asio;
using asio::local::stream_protocol;
namespace {

constexpr auto as_value = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t buffer_size = 16 * 1024;
/// No line that makes sense, in or out, is longer.
constexpr std::size_t line_size_max = 512;
constexpr auto accept_pause = std::chrono::milliseconds(100);
/// A process that is just ending gives its socket up within this time.
constexpr auto takeover_patience = std::chrono::seconds(2);

/// Whether somebody listens at `path`. Throws if that cannot be told: a socket in use must not be taken away.
bool is_answered(const std::string& path) {
  const stream_protocol::endpoint there(path);
  // Connecting to a process that accepts nobody must not wait for it.
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (probe.is_open() && ::connect(probe.get(), there.data(), static_cast<socklen_t>(there.size())) == 0) return true;
  if (errno == EAGAIN) return true;
  if (errno == ENOENT || errno == ECONNREFUSED) return false;
  throw std::system_error(errno, std::system_category(), "finding out whether " + path + " is in use");
}

std::uint64_t inode_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

/// The words of one client, taken apart into lines without leaving the locked memory they arrived in.
class Request {
 public:
  [[nodiscard]] std::span<char> room() noexcept { return memory_.chars().subspan(filled_); }
  void arrived(std::size_t count) noexcept { filled_ += count; }
  [[nodiscard]] bool is_overlong() const noexcept {
    return filled_ == memory_.size() || filled_ - read_ > line_size_max;
  }

  /// The next whole line without its end; valid until forget_lines().
  std::optional<std::string_view> next_line() noexcept {
    const std::string_view rest(memory_.chars().data() + read_, filled_ - read_);
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    read_ += end + 1;
    return rest.substr(0, end);
  }
  void forget_lines() noexcept {
    const auto chars = memory_.chars();
    std::copy(chars.begin() + std::ptrdiff_t(read_), chars.begin() + std::ptrdiff_t(filled_), chars.begin());
    filled_ -= std::exchange(read_, 0u);
  }

 private:
  LockedBuffer memory_{buffer_size};
  std::size_t filled_ = 0;
  std::size_t read_ = 0;
};

std::optional<PublicKey> read_public_key(std::string_view line) {
  constexpr std::string_view key = "public_key=";
  std::array<std::byte, key_size> bytes;
  if (!line.starts_with(key) || !key_from_hex(line.substr(key.size()), bytes)) return std::nullopt;
  return PublicKey(bytes);
}

/// As it was when it connected; -1 if the kernel does not tell.
pid_t process_of(stream_protocol::socket& client) noexcept {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  const bool is_told = ::getsockopt(client.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0;
  return is_told ? credentials.pid : -1;
}

bool can_be_found(const std::string& network_namespace) noexcept {
  try {
    (void)NetworkNamespace::open(network_namespace);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

bool ReloadRequest::read_line(std::string_view line) {
  if (line.starts_with("file=/")) {
    path = line.substr(5);
    return true;
  }
  if (line == "dry_run=true") dry_run = true;
  return line == "dry_run=true";
}

/// Lines on their way to a client, in locked memory, sent whenever there is no room for another.
class ControlSocket::Answer {
 public:
  Answer(stream_protocol::socket& client, std::function<void()> progress)
      : client_(client), progress_(std::move(progress)) {}

  template <class... Args>
  void append(fmt::format_string<Args...> format, Args&&... args) {
    const auto room = memory_.chars().subspan(used_);
    const auto written = fmt::format_to_n(room.data(), room.size(), format, std::forward<Args>(args)...);
    used_ += std::min(written.size, room.size());
  }
  void append_key(std::string_view name, KeyView key) {
    append("{}=", name);
    key_to_hex(key, memory_.chars().subspan(used_).first<64>());
    used_ += 64;
    append("\n");
  }
  [[nodiscard]] bool is_full() const noexcept { return memory_.size() - used_ < 2 * line_size_max; }
  /// False when the client is gone.
  asio::awaitable<bool> send() {
    progress_();
    const auto chars = memory_.chars().first(std::exchange(used_, 0u));
    const auto [failed, written] =
        co_await asio::async_write(client_, asio::buffer(chars.data(), chars.size()), as_value);
    co_return !failed;
  }

 private:
  stream_protocol::socket& client_;
  std::function<void()> progress_;
  LockedBuffer memory_{buffer_size};
  std::size_t used_ = 0;
};

ControlSocket::ControlSocket(asio::io_context& io, Device& device, const std::string& name, const std::string& folder,
                             std::chrono::seconds patience)
    : io_(io), device_(device), path_(folder + "/" + name + ".sock"), patience_(patience), acceptor_(io) {
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
    throw std::system_error(errno, std::system_category(), "creating " + folder + " for the control socket");
  }
  const auto deadline = std::chrono::steady_clock::now() + takeover_patience;
  while (is_answered(path_)) {
    if (std::chrono::steady_clock::now() >= deadline) {
      throw std::system_error(EADDRINUSE, std::system_category(),
                              "serving " + path_ + ": another process runs a tunnel of this name; stop it first");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ::unlink(path_.c_str());
  const mode_t before = ::umask(0177);
  boost::system::error_code failed;
  acceptor_.open(stream_protocol(), failed);
  if (!failed) acceptor_.bind(stream_protocol::endpoint(path_), failed);
  if (!failed) acceptor_.listen(asio::socket_base::max_listen_connections, failed);
  ::umask(before);
  if (failed) throw std::system_error(failed.value(), std::system_category(), "serving " + path_);
  inode_ = inode_of(path_);
  asio::co_spawn(io_, accept_clients(), rethrow);
}

ControlSocket::ControlSocket(asio::io_context& io, Device& device, UniqueFd listening, std::chrono::seconds patience)
    : io_(io), device_(device), patience_(patience), acceptor_(io) {
  boost::system::error_code failed;
  acceptor_.assign(stream_protocol(), listening.get(), failed);
  if (failed) throw std::system_error(failed.value(), std::system_category(), "taking over the control socket");
  (void)listening.release();
  asio::co_spawn(io_, accept_clients(), rethrow);
}

ControlSocket::~ControlSocket() {
  if (inode_ != 0 && inode_of(path_) == inode_) ::unlink(path_.c_str());
}

void ControlSocket::watch_file(std::function<void()> removed) {
  UniqueFd watch(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  // The link count of a file that goes is news of its attributes; being replaced by rename is news of the folder.
  const std::string folder = path_.substr(0, path_.rfind('/'));
  if (!watch.is_open() || ::inotify_add_watch(watch.get(), folder.c_str(), IN_DELETE | IN_MOVE) < 0) {
    throw std::system_error(errno, std::system_category(), "watching " + path_);
  }
  file_watch_.emplace(io_, watch.release());
  asio::co_spawn(io_, follow_file(std::move(removed)), rethrow);
}

asio::awaitable<void> ControlSocket::follow_file(std::function<void()> removed) {
  std::array<char, 4096> news;
  while (inode_of(path_) == inode_) {
    const auto [failed, size] = co_await file_watch_->async_read_some(asio::buffer(news), as_value);
    if (failed) co_return;
  }
  removed();
}

asio::awaitable<void> ControlSocket::accept_clients() {
  for (;;) {
    auto [failed, client] = co_await acceptor_.async_accept(as_value);
    if (failed == asio::error::operation_aborted || !acceptor_.is_open()) co_return;
    if (failed) {
      // EMFILE and its like stay for a while; the client waits in the queue meanwhile.
      asio::steady_timer timer(io_, accept_pause);
      co_await timer.async_wait(as_value);
      continue;
    }
    if (is_refused && is_refused(process_of(client))) continue;
    if (clients_.size() >= clients_max) {
      boost::system::error_code ignored;
      clients_.front()->close(ignored);
      clients_.pop_front();
    }
    // What goes wrong with one client ends that client's connection only.
    const auto served = clients_.insert(clients_.end(), std::make_shared<stream_protocol::socket>(std::move(client)));
    asio::co_spawn(io_, serve(*served), [this, socket = *served](std::exception_ptr) { clients_.remove(socket); });
  }
}

asio::awaitable<void> ControlSocket::serve(std::shared_ptr<stream_protocol::socket> client) {
  asio::steady_timer timer(io_);
  const auto expect_progress = [&] {
    const auto place = std::ranges::find(clients_, client);
    if (place != clients_.end()) clients_.splice(clients_.end(), clients_, place);
    timer.expires_after(patience_);
    // The client is shared, because a timer that has expired calls its handler even if this frame is gone by then.
    timer.async_wait([client](boost::system::error_code stopped) {
      if (!stopped) client->close(stopped);
    });
  };
  enum class Reading { Operation, Get, Set, Reload, Bench } reading = Reading::Operation;
  Request request;
  Answer answer(*client, expect_progress);
  UapiReader change;
  ReloadRequest reload;
  std::optional<PublicKey> measured;
  UapiError error = UapiError::None;

  const auto make_change = [&]() -> int {
    DeviceChange whole = change.take();
    if (const auto wrong = std::exchange(error, UapiError::None); wrong != UapiError::None) return int(wrong);
    // The protocol knows one answer for whatever is wrong with port or mark.
    return device_.apply(std::move(whole)) ? 0 : EADDRINUSE;
  };
  for (;;) {
    while (const auto line = request.next_line()) {
      if (reading == Reading::Operation) {
        if (*line == "get=1") {
          reading = Reading::Get;
        } else if (*line == "set=1") {
          reading = Reading::Set;
        } else if (*line == "culvert_reload=1") {
          reading = Reading::Reload;
        } else if (*line == "culvert_bench=1") {
          reading = Reading::Bench;
        } else if (!line->empty()) {
          co_return;
        }
      } else if (reading == Reading::Reload) {
        if (!line->empty()) {
          if (!reload.read_line(*line)) co_return;
          continue;
        }
        reading = Reading::Operation;
        // However long it takes: the client's own patience ends it.
        timer.cancel();
        if (!co_await answer_reload(reload, answer)) co_return;
        reload = {};
      } else if (reading == Reading::Bench) {
        if (!line->empty()) {
          measured = read_public_key(*line);
          if (!measured) co_return;
          continue;
        }
        reading = Reading::Operation;
        timer.cancel();
        if (!co_await answer_bench(measured, answer)) co_return;
        measured.reset();
      } else if (reading == Reading::Get) {
        if (!line->empty()) co_return;
        reading = Reading::Operation;
        if (!co_await answer_get(answer)) co_return;
      } else if (line->empty()) {
        reading = Reading::Operation;
        // wg expects the negative number here, other than after get.
        answer.append("errno={}\n\n", -make_change());
        if (!co_await answer.send()) co_return;
      } else if (error == UapiError::None) {
        error = change.read_line(*line);
      }
    }
    request.forget_lines();
    if (request.is_overlong()) co_return;
    expect_progress();
    const auto room = request.room();
    const auto [failed, size] = co_await client->async_read_some(asio::buffer(room.data(), room.size()), as_value);
    if (failed == asio::error::eof && reading == Reading::Set) {
      answer.append("errno={}\n\n", -make_change());
      co_await answer.send();
    }
    if (failed) co_return;
    request.arrived(size);
  }
}

asio::awaitable<bool> ControlSocket::answer_reload(const ReloadRequest& request, Answer& answer) {
  if (!on_reload || request.path.empty()) {
    answer.append("culvert_error=this tunnel is not run from a file\nerrno={}\n\n", EOPNOTSUPP);
    co_return co_await answer.send();
  }
  const ReloadAnswer result = co_await on_reload(request);
  for (const std::string& difference : result.differences) {
    // A peer's prefixes may be many.
    for (std::string_view rest = difference; !rest.empty();
         rest.remove_prefix(std::min(rest.size(), line_size_max / 2))) {
      const bool is_whole = rest.size() <= line_size_max / 2;
      answer.append("{}={}\n", is_whole ? "culvert_difference" : "culvert_part", rest.substr(0, line_size_max / 2));
      if (answer.is_full() && !co_await answer.send()) co_return false;
    }
  }
  if (!result.error.empty()) answer.append("culvert_error={}\n", result.error.substr(0, line_size_max));
  answer.append("errno={}\n\n", result.error.empty() ? 0 : EINVAL);
  co_return co_await answer.send();
}

asio::awaitable<bool> ControlSocket::answer_bench(const std::optional<PublicKey>& peer, Answer& answer) {
  if (!on_bench || !peer) {
    answer.append("culvert_error={}\nerrno={}\n\n", peer ? "this tunnel is not run from a file" : "no peer was named",
                  peer ? EOPNOTSUPP : EINVAL);
    co_return co_await answer.send();
  }
  const BenchReply reply = co_await on_bench(*peer);
  if (reply.granted) {
    const BenchAnswer& granted = *reply.granted;
    answer.append_key("culvert_bench_token", granted.token.bytes());
    answer.append("culvert_bench_port={}\nculvert_bench_mtu={}\nculvert_bench_seconds={}\nculvert_bench_rate={}\n",
                  granted.port, granted.mtu, granted.seconds, granted.rate);
    for (const Address& address : {granted.v4, granted.v6}) {
      if (!address.is_unspecified()) answer.append("culvert_bench_address={}\n", address.to_string());
    }
  } else {
    answer.append("culvert_error={}\n", reply.error.substr(0, line_size_max));
  }
  answer.append("errno={}\n\n", reply.granted ? 0 : EINVAL);
  co_return co_await answer.send();
}

void ControlSocket::begin_get(Answer& answer) {
  const auto engine = device_.engine();
  if (engine->identity()) answer.append_key("private_key", engine->identity()->secret.bytes());
  answer.append("listen_port={}\n", device_.sockets().port());
  if (device_.firewall_mark() != 0) answer.append("fwmark={}\n", device_.firewall_mark());
  answer.append("culvert_cipher={}\nculvert_aead={}\nculvert_pid={}\n", to_string(engine->cipher()),
                aead_library(engine->cipher().suite()), ::getpid());
  const DataPath path = device_.data_path();
  answer.append("culvert_device_path={}\nculvert_sending_path={}\nculvert_receiving_path={}\n", path.device,
                path.sending, path.receiving);
  answer.append("culvert_workers={}\n", device_.busy_workers());
  const DeviceLabels& labels = device_.labels;
  // What was deleted lives on in the tunnel.
  const auto tell_if_lost = [&answer](const std::string& name, std::string_view key) {
    if (!name.empty() && !can_be_found(name)) answer.append("{}=true\n", key);
  };
  tell_if_lost(labels.device_namespace, "culvert_namespace_deleted");
  tell_if_lost(labels.socket_namespace, "culvert_socket_namespace_deleted");
  if (!labels.device_namespace.empty()) answer.append("culvert_namespace={}\n", printable(labels.device_namespace));
  if (!labels.socket_namespace.empty()) {
    answer.append("culvert_socket_namespace={}\n", printable(labels.socket_namespace));
  }
  if (!labels.device.empty()) answer.append("culvert_device={}\n", printable(labels.device));
  if (labels.device_home != 0) answer.append("culvert_device_home={}\n", labels.device_home);
  if (!labels.command.empty()) {
    answer.append("culvert_command={}\n", printable(labels.command).substr(0, line_size_max / 2));
  }
  answer.append("culvert_mode={}\n", engine->mode() == DeviceMode::Switched ? "tap" : "tun");
  answer.append("culvert_system_calls={}\n", device_.system_calls());
  const DropCounters drops = device_.drops();
  for (std::size_t i = 0; i < drop_reason_count; ++i) {
    const auto reason = static_cast<DropReason>(i);
    if (drops[reason] != 0) answer.append("culvert_drop_{}={}\n", to_string(reason), drops[reason]);
  }
}

bool ControlSocket::tell_peer(PeerId id, Answer& answer) {
  const auto engine = device_.engine();
  const Peer* peer = engine->find_peer(id);
  if (!peer) return false;
  answer.append_key("public_key", peer->public_key().bytes());
  answer.append_key("preshared_key", peer->handshake.preshared_key().bytes());
  answer.append("protocol_version=1\n");
  if (peer->path) answer.append("endpoint={}\n", peer->path->remote.to_string());
  const auto handshake = peer->last_handshake.value_or(WallTime{}).time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(handshake);
  answer.append("last_handshake_time_sec={}\nlast_handshake_time_nsec={}\n", seconds.count(),
                (handshake - seconds).count());
  answer.append("tx_bytes={}\nrx_bytes={}\npersistent_keepalive_interval={}\n", peer->sent_bytes, peer->received_bytes,
                peer->timers.persistent_keepalive().count());
  const EthernetSwitch* ethernet = engine->ethernet();
  if (ethernet && ethernet->is_blocked(id)) answer.append("culvert_blocked=1\n");
  const auto label = device_.labels.peers.find(peer->public_key());
  if (label != device_.labels.peers.end()) answer.append("culvert_name={}\n", printable(label->second));
  answer.append("culvert_peer={}\n", nature_word(peer->agreement));
  const Session* session = peer->sessions.current();
  if (session) answer.append("culvert_peer_cipher={}\n", to_string(session->suite()));
  if (peer->path_mtu.is_on() && peer->path) {
    answer.append("culvert_path_mtu={}\nculvert_path_mtu_state={}\n",
                  peer->path_mtu.size() + outer_headers_of(peer->path->remote.address.family()),
                  to_string(peer->path_mtu.state()));
  }
  const std::string_view mismatch = mismatch_words(peer->agreement, engine->mode());
  if (!mismatch.empty()) answer.append("culvert_mismatch={}\n", mismatch);
  return true;
}

asio::awaitable<bool> ControlSocket::answer_get(Answer& answer) {
  begin_get(answer);
  // Peers may come and go whenever the client makes us wait; the prefixes are as they were at the beginning.
  std::vector<std::pair<PeerId, Prefix>> prefixes;
  std::vector<MacTable::Entry> stations;
  const Timestamp now = read_clocks().time;
  std::size_t slots = 0;
  {
    const auto engine = device_.engine();
    if (const EthernetSwitch* ethernet = engine->ethernet()) {
      stations.reserve(ethernet->table().size());
      ethernet->table().for_each(now, [&](const MacTable::Entry& entry) { stations.push_back(entry); });
    }
    prefixes.reserve(engine->prefixes().size());
    engine->prefixes().for_each([&](const Prefix& prefix, PeerId id) { prefixes.emplace_back(id, prefix); });
    slots = engine->peers().slot_count();
  }
  std::ranges::stable_sort(prefixes, {}, &std::pair<PeerId, Prefix>::first);
  std::ranges::sort(stations, {},
                    [](const MacTable::Entry& entry) { return std::tuple(entry.port, entry.vlan, entry.address); });
  auto station = stations.begin();
  const auto tell_station = [&] {
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - station->seen);
    answer.append("culvert_station={} {} {}\n", station->address.to_string(), station->vlan,
                  std::max(age, std::chrono::seconds(0)).count());
  };
  for (; station != stations.end() && station->port.is_local(); ++station) {
    tell_station();
    if (answer.is_full() && !co_await answer.send()) co_return false;
  }
  auto prefix = prefixes.begin();
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    const PeerId id(slot);
    while (prefix != prefixes.end() && prefix->first < id) ++prefix;
    while (station != stations.end() && station->port < SwitchPort(id)) ++station;
    if (!tell_peer(id, answer)) continue;
    for (; prefix != prefixes.end() && prefix->first == id; ++prefix) {
      answer.append("allowed_ip={}\n", prefix->second.to_string());
      if (answer.is_full() && !co_await answer.send()) co_return false;
    }
    for (; station != stations.end() && station->port == SwitchPort(id); ++station) {
      tell_station();
      if (answer.is_full() && !co_await answer.send()) co_return false;
    }
    if (answer.is_full() && !co_await answer.send()) co_return false;
  }
  answer.append("errno=0\n\n");
  co_return co_await answer.send();
}

}  // namespace culvert
