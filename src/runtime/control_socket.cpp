// The socket through which `wg` and `culvert show` look at a tunnel.
#include "culvert/runtime/control_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <system_error>

#include "culvert/crypto/aead.hpp"

namespace culvert {
namespace asio = boost::asio;
using asio::local::stream_protocol;
namespace {

constexpr auto as_value = asio::as_tuple(asio::use_awaitable);
constexpr unsigned clients_max = 64;
constexpr std::size_t request_size_max = 64 * 1024;
constexpr auto accept_pause = std::chrono::milliseconds(100);

bool is_answered(const std::string& path) {
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::copy(path.begin(), path.end(), address.sun_path);
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

std::uint64_t inode_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

void append_hex_key(std::string& out, std::string_view name, KeyView key) {
  std::array<char, 64> hex;
  key_to_hex(key, hex);
  out.append(name).append("=").append(hex.data(), hex.size()).append("\n");
  wipe(std::as_writable_bytes(std::span(hex)));
}

void append_peer(std::string& out, const Tunnel& tunnel, const Peer& peer, const std::vector<Prefix>& allowed_ips) {
  append_hex_key(out, "public_key", peer.public_key().bytes());
  append_hex_key(out, "preshared_key", peer.handshake.preshared_key().bytes());
  out += "protocol_version=1\n";
  if (peer.path) out += fmt::format("endpoint={}\n", peer.path->remote.to_string());
  const auto handshake = peer.last_handshake.value_or(WallTime{}).time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(handshake);
  out += fmt::format("last_handshake_time_sec={}\nlast_handshake_time_nsec={}\n", seconds.count(),
                     (handshake - seconds).count());
  out += fmt::format("tx_bytes={}\nrx_bytes={}\npersistent_keepalive_interval={}\n", peer.sent_bytes,
                     peer.received_bytes, peer.timers.persistent_keepalive().count());
  for (const Prefix& prefix : allowed_ips) out += fmt::format("allowed_ip={}\n", prefix.to_string());
  const std::string_view name = tunnel.name_of(peer.public_key());
  if (!name.empty()) out += fmt::format("culvert_name={}\n", printable(name));
}

}  // namespace

std::string describe(const Tunnel& tunnel) {
  const Engine& engine = tunnel.engine();
  std::string out;
  if (engine.identity() && !engine.identity()->secret.is_zero()) {
    append_hex_key(out, "private_key", engine.identity()->secret.bytes());
  }
  const Config& config = tunnel.config();
  out += fmt::format("listen_port={}\n", tunnel.sockets().port());
  if (config.firewall_mark.value_or(0) != 0) out += fmt::format("fwmark={}\n", *config.firewall_mark);
  out += fmt::format("culvert_aead={}\nculvert_pid={}\n", aead_library(), ::getpid());
  if (!config.device_namespace.empty())
    out += fmt::format("culvert_namespace={}\n", printable(config.device_namespace));
  if (!config.socket_namespace.empty()) {
    out += fmt::format("culvert_socket_namespace={}\n", printable(config.socket_namespace));
  }
  const DropCounters drops = tunnel.drops();
  for (std::size_t i = 0; i < drop_reason_count; ++i) {
    const auto reason = static_cast<DropReason>(i);
    if (drops[reason] != 0) out += fmt::format("culvert_drop_{}={}\n", to_string(reason), drops[reason]);
  }
  std::unordered_map<std::uint32_t, std::vector<Prefix>> allowed_ips;
  engine.prefixes().for_each([&](const Prefix& prefix, PeerId id) { allowed_ips[id.value()].push_back(prefix); });
  engine.peers().for_each([&](const Peer& peer) { append_peer(out, tunnel, peer, allowed_ips[peer.id.value()]); });
  out += "errno=0\n\n";
  return out;
}

ControlSocket::ControlSocket(asio::io_context& io, const Tunnel& tunnel, const std::string& folder)
    : io_(io), tunnel_(tunnel), path_(folder + "/" + tunnel.name() + ".sock"), acceptor_(io) {
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
  asio::co_spawn(io_, accept_clients(), asio::detached);
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
    asio::co_spawn(io_, serve(std::move(client)), asio::detached);
  }
}

asio::awaitable<void> ControlSocket::serve(stream_protocol::socket client) {
  std::string request;
  for (;;) {
    const auto [failed, size] =
        co_await asio::async_read_until(client, asio::dynamic_buffer(request, request_size_max), "\n\n", as_value);
    if (failed) break;
    const bool is_get = request.compare(0, size, "get=1\n\n") == 0;
    request.erase(0, size);
    std::string answer = is_get ? describe(tunnel_) : fmt::format("errno={}\n\n", is_get ? 0 : EOPNOTSUPP);
    const auto [write_failed, written] = co_await asio::async_write(client, asio::buffer(answer), as_value);
    wipe(std::as_writable_bytes(std::span(answer)));
    if (write_failed) break;
  }
  wipe(std::as_writable_bytes(std::span(request)));
  --clients_;
}

}  // namespace culvert
