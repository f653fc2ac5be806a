// The socket through which `wg` and `culvert show` look at a tunnel.
#include "culvert/runtime/control_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <system_error>

#include "culvert/crypto/aead.hpp"
#include "rethrow.hpp"

namespace culvert {
namespace asio = boost::asio;
using asio::local::stream_protocol;
namespace {

constexpr auto as_value = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t request_size_max = 64 * 1024;
constexpr auto accept_pause = std::chrono::milliseconds(100);

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

template <class... Args>
void append(WipedString& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

void append_hex_key(WipedString& out, std::string_view name, KeyView key) {
  std::array<char, 64> hex;
  key_to_hex(key, hex);
  out.append(name).append("=").append(hex.data(), hex.size()).append("\n");
  wipe(std::as_writable_bytes(std::span(hex)));
}

void append_peer(WipedString& out, const Tunnel& tunnel, const Peer& peer, const std::vector<Prefix>& allowed_ips) {
  append_hex_key(out, "public_key", peer.public_key().bytes());
  append_hex_key(out, "preshared_key", peer.handshake.preshared_key().bytes());
  out += "protocol_version=1\n";
  if (peer.path) append(out, "endpoint={}\n", peer.path->remote.to_string());
  const auto handshake = peer.last_handshake.value_or(WallTime{}).time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(handshake);
  append(out, "last_handshake_time_sec={}\nlast_handshake_time_nsec={}\n", seconds.count(),
         (handshake - seconds).count());
  append(out, "tx_bytes={}\nrx_bytes={}\npersistent_keepalive_interval={}\n", peer.sent_bytes, peer.received_bytes,
         peer.timers.persistent_keepalive().count());
  for (const Prefix& prefix : allowed_ips) append(out, "allowed_ip={}\n", prefix.to_string());
  const std::string_view name = tunnel.name_of(peer.public_key());
  if (!name.empty()) append(out, "culvert_name={}\n", printable(name));
}

}  // namespace

WipedString describe(const Tunnel& tunnel) {
  const Engine& engine = tunnel.engine();
  WipedString out;
  if (engine.identity() && !engine.identity()->secret.is_zero()) {
    append_hex_key(out, "private_key", engine.identity()->secret.bytes());
  }
  const Config& config = tunnel.config();
  append(out, "listen_port={}\n", tunnel.sockets().port());
  if (config.firewall_mark.value_or(0) != 0) append(out, "fwmark={}\n", *config.firewall_mark);
  append(out, "culvert_aead={}\nculvert_pid={}\n", aead_library(), ::getpid());
  if (!config.device_namespace.empty()) append(out, "culvert_namespace={}\n", printable(config.device_namespace));
  if (!config.socket_namespace.empty()) {
    append(out, "culvert_socket_namespace={}\n", printable(config.socket_namespace));
  }
  const DropCounters drops = tunnel.drops();
  for (std::size_t i = 0; i < drop_reason_count; ++i) {
    const auto reason = static_cast<DropReason>(i);
    if (drops[reason] != 0) append(out, "culvert_drop_{}={}\n", to_string(reason), drops[reason]);
  }
  std::unordered_map<std::uint32_t, std::vector<Prefix>> allowed_ips;
  engine.prefixes().for_each([&](const Prefix& prefix, PeerId id) { allowed_ips[id.value()].push_back(prefix); });
  engine.peers().for_each([&](const Peer& peer) { append_peer(out, tunnel, peer, allowed_ips[peer.id.value()]); });
  out += "errno=0\n\n";
  return out;
}

ControlSocket::ControlSocket(asio::io_context& io, const Tunnel& tunnel, const std::string& folder,
                             std::chrono::seconds patience)
    : io_(io), tunnel_(tunnel), path_(folder + "/" + tunnel.name() + ".sock"), patience_(patience), acceptor_(io) {
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
    throw std::system_error(errno, std::system_category(), "creating " + folder + " for the control socket");
  }
  if (is_answered(path_)) {
    throw std::system_error(EADDRINUSE, std::system_category(),
                            "serving " + path_ + ": another process runs a tunnel of this name; stop it first");
  }
  ::unlink(path_.c_str());
  const mode_t before = ::umask(0077);
  boost::system::error_code failed;
  acceptor_.open(stream_protocol(), failed);
  if (!failed) acceptor_.bind(stream_protocol::endpoint(path_), failed);
  if (!failed) acceptor_.listen(asio::socket_base::max_listen_connections, failed);
  ::umask(before);
  if (failed) throw std::system_error(failed.value(), std::system_category(), "serving " + path_);
  inode_ = inode_of(path_);
  asio::co_spawn(io_, accept_clients(), rethrow);
}

ControlSocket::~ControlSocket() {
  if (inode_ != 0 && inode_of(path_) == inode_) ::unlink(path_.c_str());
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
    if (clients_ >= clients_max) continue;
    ++clients_;
    // What goes wrong with one client ends that client's connection only.
    asio::co_spawn(io_, serve(std::move(client)), [this](std::exception_ptr) { --clients_; });
  }
}

asio::awaitable<void> ControlSocket::serve(stream_protocol::socket socket) {
  // Shared, because a timer that has expired calls its handler even if this frame is gone by then.
  const auto client = std::make_shared<stream_protocol::socket>(std::move(socket));
  asio::steady_timer timer(io_);
  const auto expect_progress = [&] {
    timer.expires_after(patience_);
    timer.async_wait([client](boost::system::error_code stopped) {
      if (!stopped) client->close(stopped);
    });
  };
  WipedString request;
  for (;;) {
    expect_progress();
    const auto [failed, size] =
        co_await asio::async_read_until(*client, asio::dynamic_buffer(request, request_size_max), "\n\n", as_value);
    if (failed) co_return;
    const bool is_get = std::string_view(request).substr(0, size) == "get=1\n\n";
    request.erase(0, size);
    WipedString answer = is_get ? describe(tunnel_) : WipedString();
    // wg expects the negative number here, other than after get.
    if (!is_get) append(answer, "errno={}\n\n", -EOPNOTSUPP);
    expect_progress();
    const auto [write_failed, written] = co_await asio::async_write(*client, asio::buffer(answer), as_value);
    if (write_failed) co_return;
  }
}

}  // namespace culvert
