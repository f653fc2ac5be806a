// Asking tunnels through WireGuard's configuration protocol.
#include "tunnels.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <exception>
#include <fstream>
#include <system_error>
#include <vector>

#include "culvert/base/fields.hpp"
#include "culvert/base/time.hpp"
#include "culvert/crypto/key_exchange.hpp"
#include "culvert/crypto/keys.hpp"
#include "culvert/io/clock.hpp"
#include "culvert/io/record_folder.hpp"
#include "culvert/quick/control_client.hpp"
#include "culvert/runtime/control_folders.hpp"

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

std::optional<uid_t> user_of_process(int pid) {
  struct stat status {};
  if (::stat(("/proc/" + std::to_string(pid)).c_str(), &status) != 0) return std::nullopt;
  return status.st_uid;
}

/// In its own PID namespace, the last of those that /proc tells.
int own_number_of(int pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("NSpid:")) continue;
    return number_from<int>(std::string_view(line).substr(line.find_last_of(" \t") + 1)).value_or(pid);
  }
  return pid;
}

std::vector<std::string> places_of_socket(int pid, const std::string& device) {
  // It may live in a mount namespace of its own. There /var/run, being a link to /run, would lead back here.
  std::vector<std::string> folders{"/proc/" + std::to_string(pid) + "/root/run/wireguard"};
  for (std::string& folder : trusted_control_folders()) folders.push_back(std::move(folder));
  if (const auto user = user_of_process(pid); user && *user != 0) {
    folders.push_back("/run/user/" + std::to_string(*user) + "/culvert");
  }
  std::vector<std::string> places;
  for (const std::string& folder : folders) {
    places.push_back(folder + "/" + device + ".sock");
    places.push_back(folder + "/" + name_of_exec(own_number_of(pid)) + ".sock");
  }
  return places;
}

std::uint64_t seconds_now() {
  return static_cast<std::uint64_t>(
      std::chrono::floor<std::chrono::seconds>(read_clocks().wall.time_since_epoch()).count());
}

std::string_view value_in(std::string_view answer, std::string_view wanted) {
  while (!answer.empty()) {
    const std::string_view line = answer.substr(0, answer.find('\n'));
    answer.remove_prefix(std::min(answer.size(), line.size() + 1));
    const bool is_wanted = line.starts_with(wanted) && line.substr(wanted.size()).starts_with('=');
    if (is_wanted) return line.substr(wanted.size() + 1);
  }
  return {};
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
  for (const std::string& place : places_of_socket(pid, device)) {
    try {
      const auto answer = ask_process(place, pid, "get=1\n\n", patience);
      if (!answer) continue;
      return tunnel_from(*answer, seconds_now());
    } catch (const std::system_error& error) {
      if (!is_absent(error)) throw;
    }
  }
  return std::nullopt;
}

std::vector<TunnelOfCommand> own_tunnels_of_commands() {
  constexpr std::chrono::seconds patience(1);
  std::vector<TunnelOfCommand> found;
  const auto folder = own_control_folder();
  const std::vector<std::string> trusted = trusted_control_folders();
  if (!folder || std::ranges::find(trusted, *folder) == trusted.end()) return found;
  for (const std::string& name : names_in(*folder)) {
    const auto pid = pid_of_exec(name);
    if (!pid) continue;
    try {
      const auto answer = ask_process(*folder + "/" + name, *pid, "get=1\n\n", patience);
      if (!answer) continue;
      TunnelOfCommand one;
      one.pid = *pid;
      one.device = value_in(*answer, "culvert_device");
      one.home = number_from<std::uint64_t>(value_in(*answer, "culvert_device_home")).value_or(0);
      one.tunnel = tunnel_from(*answer, seconds_now());
      found.push_back(std::move(one));
    } catch (const std::exception&) {
      // It is ending, or was killed.
    }
  }
  return found;
}

}  // namespace culvert::topology
