// culvert show: what the tunnels of this machine are doing, asked through their control sockets.
#include <dirent.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "commands.hpp"
#include "culvert/base/printable.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/crypto/cipher_suite.hpp"
#include "culvert/crypto/key_exchange.hpp"
#include "culvert/crypto/keys.hpp"
#include "culvert/quick/control_client.hpp"
#include "culvert/runtime/control_folders.hpp"
#include "culvert/runtime/wiped_string.hpp"

namespace culvert {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct TunnelReport {
  std::string name;
  std::string public_key;  ///< base64; empty without a private key
  Fields device;
  std::vector<Fields> peers;
};

const std::string* find(const Fields& fields, std::string_view key) {
  const auto found = std::ranges::find_if(fields, [key](const auto& field) { return field.first == key; });
  return found == fields.end() ? nullptr : &found->second;
}

std::uint64_t number(const Fields& fields, std::string_view key) {
  const std::string* text = find(fields, key);
  std::uint64_t value = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

std::string base64_of_hex(std::string_view hex) {
  std::array<std::byte, key_size> bytes{};
  return key_from_hex(hex, bytes) ? PublicKey(bytes).to_base64() : std::string();
}

TunnelReport report_of(const std::string& name) {
  TunnelReport report{name, {}, {}, {}};
  const WipedString answer = ask_tunnel(name, "get=1\n\n");
  std::string_view rest = answer;
  Fields* fields = &report.device;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, equals);
    const std::string_view value = line.substr(equals + 1);
    if (key == "private_key") {
      SecretKey secret;
      if (key_from_hex(value, secret.writable_bytes())) report.public_key = public_key_of(secret).to_base64();
      continue;
    }
    if (key == "public_key") fields = &report.peers.emplace_back();
    if (key == "preshared_key") {
      const bool is_set = value.find_first_not_of('0') != std::string_view::npos;
      fields->emplace_back("preshared_key", is_set ? "yes" : "");
      continue;
    }
    fields->emplace_back(printable(key), key == "public_key" ? base64_of_hex(value) : printable_utf8(value));
  }
  return report;
}

void add_tunnels_in(const std::string& path, std::vector<std::string>& names) {
  sweep_control_folder(path);
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
  if (!folder) {
    if (errno == ENOENT) return;
    throw std::system_error(errno, std::system_category(), "listing " + path + " (try as root)");
  }
  constexpr std::string_view ending = ".sock";
  while (const dirent* entry = ::readdir(folder.get())) {
    std::string_view name = entry->d_name;
    if (!name.ends_with(ending)) continue;
    name.remove_suffix(ending.size());
    if (is_interface_name(name)) names.emplace_back(name);
  }
}

/// One that does not answer must not hide the others.
bool complain(const std::exception& error) {
  fmt::print(stderr, "culvert: {}\n", printable(error.what()));
  return true;
}

std::vector<std::string> running_tunnels(bool& is_denied) {
  std::vector<std::string> names;
  for (const std::string& folder : trusted_control_folders()) {
    try {
      add_tunnels_in(folder, names);
    } catch (const std::system_error& error) {
      if (error.code().value() != EACCES) throw;
      is_denied = complain(error);
    }
  }
  std::ranges::sort(names);
  return names;
}

std::string people_bytes(std::uint64_t bytes) {
  static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.2f} {}", value, units[unit]);
}

std::string people_age(std::uint64_t seconds) {
  if (seconds < 120) return fmt::format("{} s ago", seconds);
  if (seconds < 7200) return fmt::format("{} min ago", seconds / 60);
  if (seconds < 172800) return fmt::format("{} h ago", seconds / 3600);
  return fmt::format("{} days ago", seconds / 86400);
}

std::string joined_allowed_ips(const Fields& peer) {
  std::string joined;
  for (const auto& [key, value] : peer) {
    if (key != "allowed_ip") continue;
    joined += (joined.empty() ? "" : ", ") + value;
  }
  return joined.empty() ? "(none)" : joined;
}

std::string people_cipher(const Fields& device, const std::string& suite) {
  if (suite == to_string(CipherSuite::None)) return "none: INSECURE, nothing is encrypted or authenticated";
  if (suite == to_string(CipherChoice::automatic())) return suite;
  const std::string* library = find(device, "culvert_aead");
  return library ? suite + " by " + *library : suite;
}

std::string people_kind(std::string_view kind) {
  if (kind == "routed") return "culvert, routed";
  if (kind == "switched") return "culvert, switched";
  return kind == "stock" ? "plain WireGuard" : "not known yet";
}

/// What `culvert_station` says: where a station is, and how long ago it was heard.
struct Station {
  std::string address;
  unsigned vlan = 0;
  std::uint64_t age = 0;
  const Fields* port = nullptr;  ///< the device's or a peer's
};

std::vector<Station> stations_of(const TunnelReport& report) {
  std::vector<Station> stations;
  const auto take_from = [&stations](const Fields& port) {
    for (const auto& [key, value] : port) {
      if (key != "culvert_station") continue;
      const std::size_t vlan = value.find(' ');
      const std::size_t age = value.rfind(' ');
      if (vlan == std::string::npos || vlan == age) continue;
      Station& station = stations.emplace_back();
      station.address = value.substr(0, vlan);
      std::from_chars(value.data() + vlan + 1, value.data() + age, station.vlan);
      std::from_chars(value.data() + age + 1, value.data() + value.size(), station.age);
      station.port = &port;
    }
  };
  take_from(report.device);
  for (const Fields& peer : report.peers) take_from(peer);
  return stations;
}

void print_stations(const TunnelReport& report) {
  const std::vector<Station> stations = stations_of(report);
  if (stations.empty()) return;
  fmt::print("  stations: {}\n", stations.size());
  for (const Station& station : stations) {
    std::string where = "local";
    if (station.port != &report.device) {
      const std::string* name = find(*station.port, "culvert_name");
      where = name ? *name : *find(*station.port, "public_key");
    }
    const std::string vlan = station.vlan == 0 ? "" : fmt::format("vlan {}", station.vlan);
    fmt::print("    {}  {:<9} {:<12} {}\n", station.address, vlan, people_age(station.age), where);
  }
}

std::string people_path(std::string_view state) {
  if (state == "assumed") return "of the route, not probed yet";
  if (state == "searching") return "probed, and larger ones are being tried";
  return "probed";
}

constexpr std::string_view drop_prefix = "culvert_drop_";

void print_people(const TunnelReport& report) {
  const auto line = [](std::string_view label, std::string_view value) { fmt::print("  {}: {}\n", label, value); };
  fmt::print("tunnel: {}\n", printable_utf8(report.name));
  if (const auto* device = find(report.device, "culvert_device")) {
    const auto* command = find(report.device, "culvert_command");
    line("device", *device + (command ? " of " + *command : "") + ", in a namespace of its own");
  }
  line("public key", report.public_key.empty() ? "(none)" : report.public_key);
  if (const auto* port = find(report.device, "listen_port")) line("listening port", *port);
  if (const auto* mark = find(report.device, "fwmark")) line("fwmark", *mark);
  for (const auto& [key, label] : {std::pair{"culvert_namespace", "device in namespace"},
                                   std::pair{"culvert_socket_namespace", "socket in namespace"}}) {
    const auto* there = find(report.device, key);
    const bool is_deleted = find(report.device, std::string(key) + "_deleted") != nullptr;
    if (there) line(label, *there + (is_deleted ? " (deleted by somebody meanwhile; the tunnel still has it)" : ""));
  }
  for (const auto& [key, label] :
       {std::pair{"culvert_device_path", "device path"}, std::pair{"culvert_sending_path", "sending"},
        std::pair{"culvert_receiving_path", "receiving"}}) {
    if (const auto* path = find(report.device, key)) line(label, *path);
  }
  if (const auto* mode = find(report.device, "culvert_mode")) line("mode", *mode);
  if (const auto* suite = find(report.device, "culvert_cipher")) line("cipher", people_cipher(report.device, *suite));
  std::string drops;
  for (const auto& [key, value] : report.device) {
    if (!key.starts_with(drop_prefix)) continue;
    drops += (drops.empty() ? "" : ", ") + value + " " + key.substr(drop_prefix.size());
  }
  if (!drops.empty()) line("dropped packets", drops);
  print_stations(report);

  for (const Fields& peer : report.peers) {
    const std::string* given = find(peer, "culvert_name");
    const std::string& key = *find(peer, "public_key");
    fmt::print("\n  peer: {}\n", given ? *given : key);
    const auto detail = [](std::string_view label, std::string_view value) {
      fmt::print("    {}: {}\n", label, value);
    };
    if (given) detail("public key", key);
    const std::string* psk = find(peer, "preshared_key");
    if (psk && !psk->empty()) detail("preshared key", "(hidden)");
    if (const auto* endpoint = find(peer, "endpoint")) detail("endpoint", *endpoint);
    detail("allowed ips", joined_allowed_ips(peer));
    if (const auto* kind = find(peer, "culvert_peer")) detail("speaks", people_kind(*kind));
    if (const auto* suite = find(peer, "culvert_peer_cipher")) detail("cipher", *suite);
    if (const auto* state = find(peer, "culvert_path_mtu_state")) {
      detail("path mtu", fmt::format("{} ({})", number(peer, "culvert_path_mtu"), people_path(*state)));
    }
    if (const auto* mismatch = find(peer, "culvert_mismatch")) detail("MISMATCH", "this peer " + *mismatch);
    if (find(peer, "culvert_blocked")) detail("BLOCKED", "our own probe came back through this peer: a loop");
    const std::uint64_t handshake = number(peer, "last_handshake_time_sec");
    const auto now = static_cast<std::uint64_t>(std::time(nullptr));
    detail("latest handshake", handshake == 0 ? "never" : people_age(now > handshake ? now - handshake : 0));
    detail("transfer",
           people_bytes(number(peer, "rx_bytes")) + " received, " + people_bytes(number(peer, "tx_bytes")) + " sent");
    if (const auto keepalive = number(peer, "persistent_keepalive_interval")) {
      detail("persistent keepalive", fmt::format("every {} s", keepalive));
    }
  }
}

boost::json::object json_of(const TunnelReport& report) {
  boost::json::object tunnel;
  tunnel["name"] = report.name;
  tunnel["public_key"] = report.public_key;
  tunnel["listen_port"] = number(report.device, "listen_port");
  tunnel["fwmark"] = number(report.device, "fwmark");
  for (const auto& [from, to] :
       {std::pair{"culvert_namespace", "namespace"}, std::pair{"culvert_socket_namespace", "socket_namespace"},
        std::pair{"culvert_device_path", "device_path"}, std::pair{"culvert_sending_path", "sending_path"},
        std::pair{"culvert_receiving_path", "receiving_path"}, std::pair{"culvert_cipher", "cipher"},
        std::pair{"culvert_aead", "aead_library"}, std::pair{"culvert_mode", "mode"},
        std::pair{"culvert_device", "device"}, std::pair{"culvert_command", "command"}}) {
    if (const auto* value = find(report.device, from)) tunnel[to] = *value;
  }
  for (const auto& [from, to] : {std::pair{"culvert_namespace_deleted", "namespace_deleted"},
                                 std::pair{"culvert_socket_namespace_deleted", "socket_namespace_deleted"}}) {
    if (find(report.device, from)) tunnel[to] = true;
  }
  if (find(report.device, "culvert_pid")) tunnel["pid"] = number(report.device, "culvert_pid");
  tunnel["system_calls"] = number(report.device, "culvert_system_calls");
  boost::json::object drops;
  for (const auto& [key, value] : report.device) {
    if (key.starts_with(drop_prefix)) drops[key.substr(drop_prefix.size())] = number(report.device, key);
  }
  tunnel["drops"] = std::move(drops);
  boost::json::array stations;
  for (const Station& station : stations_of(report)) {
    const bool is_local = station.port == &report.device;
    stations.push_back(
        {{"address", station.address},
         {"vlan", station.vlan},
         {"age", station.age},
         {"peer", is_local ? boost::json::value(nullptr) : boost::json::value(*find(*station.port, "public_key"))}});
  }
  const std::string* mode = find(report.device, "culvert_mode");
  if (mode && *mode == "tap") tunnel["stations"] = std::move(stations);
  boost::json::array peers;
  for (const Fields& fields : report.peers) {
    boost::json::object peer;
    peer["public_key"] = *find(fields, "public_key");
    if (const auto* name = find(fields, "culvert_name")) peer["name"] = *name;
    const std::string* psk = find(fields, "preshared_key");
    peer["has_preshared_key"] = psk && !psk->empty();
    const std::string* endpoint = find(fields, "endpoint");
    peer["endpoint"] = endpoint ? boost::json::value(*endpoint) : boost::json::value(nullptr);
    boost::json::array allowed_ips;
    for (const auto& [key, value] : fields) {
      if (key == "allowed_ip") allowed_ips.emplace_back(value);
    }
    peer["allowed_ips"] = std::move(allowed_ips);
    peer["latest_handshake"] = number(fields, "last_handshake_time_sec");
    if (find(report.device, "culvert_mode")) peer["blocked"] = find(fields, "culvert_blocked") != nullptr;
    peer["received_bytes"] = number(fields, "rx_bytes");
    peer["sent_bytes"] = number(fields, "tx_bytes");
    peer["persistent_keepalive"] = number(fields, "persistent_keepalive_interval");
    for (const auto& [from, to] :
         {std::pair{"culvert_peer", "kind"}, std::pair{"culvert_peer_cipher", "cipher"},
          std::pair{"culvert_path_mtu_state", "path_mtu_state"}, std::pair{"culvert_mismatch", "mismatch"}}) {
      const auto* value = find(fields, from);
      peer[to] = value ? boost::json::value(*value) : boost::json::value(nullptr);
    }
    const bool has_path_mtu = find(fields, "culvert_path_mtu") != nullptr;
    peer["path_mtu"] =
        has_path_mtu ? boost::json::value(number(fields, "culvert_path_mtu")) : boost::json::value(nullptr);
    peers.push_back(std::move(peer));
  }
  tunnel["peers"] = std::move(peers);
  return tunnel;
}

}  // namespace

int show_command(const std::string& name, bool as_json) {
  std::vector<TunnelReport> reports;
  bool has_failed = false;
  bool is_denied = false;
  if (!name.empty()) {
    reports.push_back(report_of(name));
  } else {
    for (const std::string& running : running_tunnels(is_denied)) {
      try {
        reports.push_back(report_of(running));
      } catch (const std::system_error& error) {
        if (error.code().value() == EACCES) {
          // Root's, which do not keep a user from being shown his own.
          is_denied = complain(error);
          continue;
        }
        // A socket file whose process was killed is no tunnel.
        if (error.code().value() != ECONNREFUSED && error.code().value() != ENOENT) has_failed |= complain(error);
      } catch (const std::runtime_error& error) {
        has_failed |= complain(error);
      }
    }
  }
  has_failed |= is_denied && reports.empty();
  if (as_json) {
    boost::json::array all;
    for (const TunnelReport& report : reports) all.push_back(json_of(report));
    fmt::print("{}\n", boost::json::serialize(all));
    return has_failed ? 1 : 0;
  }
  for (const TunnelReport& report : reports) {
    if (&report != &reports.front()) fmt::print("\n");
    print_people(report);
  }
  if (reports.empty() && !has_failed) fmt::print("no tunnel is running\n");
  return has_failed ? 1 : 0;
}

}  // namespace culvert
