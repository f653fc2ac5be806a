// Asking a running tunnel what it is.
#include "culvert/quick/current_config.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <unordered_map>

#include "culvert/base/fields.hpp"
#include "culvert/quick/config_text.hpp"
#include "culvert/quick/control_client.hpp"

namespace culvert {

namespace {

class StateReader {
 public:
  StateReader(Config& config, std::uint32_t own_mark) : config_(config), own_mark_(own_mark) {
    for (PeerConfig& peer : config_.peers) known_.emplace(peer.public_key, std::move(peer));
    config_.peers.clear();
    had_mark_ = config_.firewall_mark.value_or(0) != 0;
    config_.private_key = SecretKey();
    config_.firewall_mark.reset();
  }

  [[nodiscard]] bool read(std::string_view key, std::string_view value) {
    if (key.starts_with("culvert_") || key == "errno") return true;
    if (key == "public_key") return begin_peer(value);
    if (config_.peers.empty()) return read_device(key, value);
    return read_peer(config_.peers.back(), key, value);
  }

 private:
  bool begin_peer(std::string_view value) {
    std::array<std::byte, key_size> bytes;
    if (!key_from_hex(value, bytes)) return false;
    PeerConfig& peer = config_.peers.emplace_back();
    peer.public_key = PublicKey(bytes);
    const auto known = known_.find(peer.public_key);
    if (known == known_.end()) return true;
    peer.name = known->second.name;
    peer.bench_rate = known->second.bench_rate;
    peer.endpoint = known->second.endpoint;
    return true;
  }

  bool read_device(std::string_view key, std::string_view value) {
    if (key == "private_key") return key_from_hex(value, config_.private_key.writable_bytes());
    if (key == "listen_port") {
      config_.listen_port = number_from<std::uint16_t>(value);
      return config_.listen_port.has_value();
    }
    if (key == "fwmark") {
      const auto mark = number_from<std::uint32_t>(value);
      if (mark && (had_mark_ || (*mark != own_mark_ && *mark != 0))) config_.firewall_mark = mark;
      return mark.has_value();
    }
    return true;
  }

  static bool read_peer(PeerConfig& peer, std::string_view key, std::string_view value) {
    if (key == "preshared_key") return key_from_hex(value, peer.preshared_key.writable_bytes());
    if (key == "allowed_ip") {
      const auto prefix = Prefix::parse(value);
      if (prefix) peer.allowed_ips.push_back(*prefix);
      return prefix.has_value();
    }
    if (key == "endpoint") {
      const auto endpoint = Endpoint::parse(value);
      const bool has_name = peer.endpoint && !peer.endpoint->literal;
      if (endpoint && !has_name) {
        peer.endpoint = EndpointName{endpoint->address.to_string(), endpoint->port, *endpoint};
      }
      return endpoint.has_value();
    }
    if (key == "persistent_keepalive_interval") {
      const auto seconds = number_from<std::uint16_t>(value);
      if (seconds) peer.persistent_keepalive = std::chrono::seconds(*seconds);
      return seconds.has_value();
    }
    return true;
  }

  Config& config_;
  std::uint32_t own_mark_;
  bool had_mark_ = false;
  std::unordered_map<PublicKey, PeerConfig> known_;
};

bool is_link_local(const Prefix& prefix) {
  static const Prefix link_local = *Prefix::parse("fe80::/10");
  return link_local.contains(prefix.address);
}

}  // namespace

void take_device_state(Config& config, std::string_view said, std::uint32_t own_mark) {
  StateReader reader(config, own_mark);
  while (!said.empty()) {
    const std::string_view line = said.substr(0, said.find('\n'));
    said.remove_prefix(std::min(said.size(), line.size() + 1));
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos || !reader.read(line.substr(0, equals), line.substr(equals + 1))) {
      throw std::runtime_error("the device's answer makes no sense at \"" + std::string(line.substr(0, equals)) + "\"");
    }
  }
}

void save_config(const std::string& path, const std::string& name, const JournalFolder& folder) {
  Config config = read_config_file(path);
  const auto journal = folder.read(name);
  take_device_state(config, ask_tunnel(name, "get=1\n\n"), journal ? journal->table : 0);
  const auto where = journal ? find_namespace(journal->where, journal->where_name) : NetworkNamespace::current();
  if (!where) throw std::runtime_error("the network namespace of " + name + " cannot be found");
  const ScopedNamespace inside(*where);
  Netlink netlink;
  const auto link = netlink.find_link(name);
  if (!link) throw std::runtime_error("there is no device " + name);
  std::vector<Prefix> addresses = netlink.addresses(link->index);
  // What the kernel gives each device by itself is no wish of the user.
  std::erase_if(addresses, [&](const Prefix& address) {
    return is_link_local(address) && std::ranges::find(config.addresses, address) == config.addresses.end();
  });
  config.addresses = std::move(addresses);
  if (config.mtu) config.mtu = static_cast<std::uint16_t>(std::min<std::uint32_t>(link->mtu, 65535));
  write_config_file(path, to_text(config, ConfigText::Whole));
}

}  // namespace culvert
