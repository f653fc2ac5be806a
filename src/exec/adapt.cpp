// What a wg-quick file means in a namespace of its own.
#include <algorithm>
#include <utility>

#include "culvert/base/address.hpp"
#include "culvert/base/printable.hpp"
#include "culvert/exec/behind_tunnel.hpp"
#include "culvert/exec/resolver_files.hpp"
#include "culvert/io/udp_socket.hpp"
#include "culvert/netns/network_namespace.hpp"
#include "culvert/quick/device_mtu.hpp"

namespace culvert {

namespace {

[[noreturn]] void refuse(const Config& config, const std::string& why) {
  throw ConfigError(config.path, 0, 0, why);
}

void check(const Config& config) {
  if (!config.device_namespace.empty()) {
    refuse(config, "Namespace = " + config.device_namespace +
                       " says where the device goes, but culvert exec makes a namespace of its own: take the line out, "
                       "or use culvert up and culvert netns exec");
  }
  if (!config.bridge.empty() || !config.bridge_port.empty()) {
    refuse(config, "Bridge and BridgePort would lead out of the namespace beside the tunnel: take the lines out");
  }
  if (config.private_key.is_zero()) {
    refuse(config, "there is no PrivateKey, and culvert exec does not run the hooks that may set it");
  }
}

std::string names_of_hooks(const Config& config) {
  std::string names;
  for (const auto& [name, lines] : {std::pair{"PreUp", &config.pre_up}, std::pair{"PostUp", &config.post_up},
                                    std::pair{"PreDown", &config.pre_down}, std::pair{"PostDown", &config.post_down}}) {
    if (!lines->empty()) names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return names;
}

}  // namespace

std::vector<std::string> adapt_to_own_namespace(Config& config) {
  check(config);
  std::vector<std::string> warnings;
  const auto warn = [&](const std::string& text) { warnings.push_back(printable(config.path) + ": " + text); };
  if (const std::string hooks = names_of_hooks(config); !hooks.empty()) {
    warn(hooks + " are for a tunnel of the whole host and are not run");
  }
  for (auto* const lines : {&config.pre_up, &config.post_up, &config.pre_down, &config.post_down}) lines->clear();
  config.save_config = false;
  // Other tables serve to keep other programs' traffic apart; here is none.
  config.table = {};
  const NetworkNamespace sockets =
      config.socket_namespace.empty() ? NetworkNamespace::current() : NetworkNamespace::open(config.socket_namespace);
  if (config.firewall_mark.value_or(0) != 0) {
    const ScopedNamespace inside(sockets);
    if (!UdpSocket::bind(Family::V4, 0, 0, false).set_firewall_mark(*config.firewall_mark)) {
      warn("FwMark is left out: only root may mark packets");
      config.firewall_mark.reset();
    }
  }
  if (!config.mtu) config.mtu = fitting_mtu(config, sockets);
  const auto is_server = [](const std::string& entry) { return Address::parse(entry).has_value(); };
  if (!config.dns.empty() && std::ranges::none_of(config.dns, is_server)) {
    warn("DNS = names domains to search and no server: no names of hosts will be found");
  }
  if (config.dns.empty() && asks_only_this_host(present_resolv_conf())) {
    warn("there is no DNS =, and /etc/resolv.conf names servers on this host alone: no names of hosts will be found");
  }
  return warnings;
}

}  // namespace culvert
