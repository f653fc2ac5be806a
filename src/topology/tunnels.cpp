// Asking tunnels through WireGuard's configuration protocol.
#include "tunnels.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>

#include "culvert/base/fields.hpp"
#include "culvert/base/time.hpp"
#include "culvert/crypto/key_exchange.hpp"
#include "culvert/crypto/keys.hpp"
#include "culvert/io/clock.hpp"
#include "culvert/quick/control_client.hpp"
#include "culvert/runtime/control_socket.hpp"

namespace culvert::topology {

namespace {

std::string base64_of(std::string_view hex) {
  std::array<std::byte, key_size> bytes{};
  return key_from_hex(hex, bytes) ? PublicKey(bytes).to_base64() : std::string();
}

void take_line(Tunnel& tunnel, std::string_view key, std::string_view value, std::uint64_t now) {
  if (key == "private_key") {
    SecretKey secret;
    if (key_from_hex(value, secret.writable_bytes())) tunnel.public_key = public_key_of(secret).to_base64();
  } else if (key == "listen_port") {
    tunnel.listen_port = number_from<std::uint64_t>(value).value_or(0);
  } else if (key == "culvert_pid") {
    tunnel.is_culvert = true;
  } else if (key == "public_key") {
    tunnel.peers.emplace_back().public_key = base64_of(value);
  }
  if (tunnel.peers.empty()) return;
  Peer& peer = tunnel.peers.back();
  if (key == "culvert_name") {
    peer.name = value;
  } else if (key == "endpoint") {
    peer.endpoint = value;
  } else if (key == "allowed_ip") {
    peer.allowed_ips.emplace_back(value);
  } else if (key == "last_handshake_time_sec") {
    const auto then = number_from<std::uint64_t>(value).value_or(0);
    if (then != 0) peer.handshake_age = now > then ? now - then : 0;
  }
}

bool is_absent(const std::system_error& error) {
  constexpr std::array absent{ENOENT, ENOTDIR, EACCES, ECONNREFUSED, ELOOP};
  return std::ranges::find(absent, error.code().value()) != absent.end();
}

}  // namespace

Tunnel tunnel_from(std::string_view answer, std::uint64_t now) {
  Tunnel tunnel;
  while (!answer.empty()) {
    const std::string_view line = answer.substr(0, answer.find('\n'));
    answer.remove_prefix(std::min(answer.size(), line.size() + 1));
    const std::size_t equals = line.find('=');
    if (equals != std::string_view::npos) take_line(tunnel, line.substr(0, equals), line.substr(equals + 1), now);
  }
  return tunnel;
}

std::optional<Tunnel> ask_for_tunnel(int pid, const std::string& device) {
  constexpr std::chrono::seconds patience(5);
  // It may live in a mount namespace of its own. There /var/run, being a link to /run, would lead back here.
  const std::string there = "/proc/" + std::to_string(pid) + "/root/run/wireguard";
  for (const std::string& folder : {there, std::string(control_socket_folder)}) {
    try {
      const auto answer = ask_process(folder + "/" + device + ".sock", pid, "get=1\n\n", patience);
      if (!answer) continue;
      const auto now = std::chrono::floor<std::chrono::seconds>(read_clocks().wall.time_since_epoch()).count();
      return tunnel_from(*answer, static_cast<std::uint64_t>(now));
    } catch (const std::system_error& error) {
      if (!is_absent(error)) throw;
    }
  }
  return std::nullopt;
}

}  // namespace culvert::topology
