// Looking at a file with the eyes of somebody who has made the mistake before.
#include "culvert/quick/advice.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <exception>
#include <optional>

#include "culvert/base/printable.hpp"
#include "culvert/io/netlink.hpp"
#include "culvert/netns/network_namespace.hpp"
#include "overhead.hpp"

namespace culvert {

namespace {

constexpr mode_t for_others = 07;

std::string at(const Config& config, const PeerConfig& peer) {
  return printable(config.path) + ":" + std::to_string(peer.line) + ":1: ";
}

bool can_others_read(const std::string& path) {
  struct stat file {};
  struct stat folder {};
  const std::size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  // As wg-quick sees it: a folder that others cannot enter protects what is in it.
  return ::stat(path.c_str(), &file) == 0 && ::stat(parent.c_str(), &folder) == 0 &&
         (file.st_mode & folder.st_mode & for_others) != 0;
}

/// The network of the tunnel that `endpoint` lies in, if it makes datagrams to it go into the tunnel.
std::string network_around(const Config& config, const Address& endpoint) {
  for (const Prefix& own : config.addresses) {
    if (own.contains(endpoint)) return "Address " + own.to_string();
  }
  if (config.table.kind != RouteTable::Kind::Auto) return {};
  for (const PeerConfig& peer : config.peers) {
    for (const Prefix& prefix : peer.allowed_ips) {
      // What has no prefix at all is kept apart by marks.
      if (prefix.length != 0 && prefix.contains(endpoint)) return "AllowedIPs " + prefix.to_string();
    }
  }
  return {};
}

/// What fits through the way to `endpoint`, or through the default route.
std::optional<std::uint32_t> mtu_towards(const Config& config, const std::optional<Address>& endpoint) {
  try {
    const NetworkNamespace there =
        config.socket_namespace.empty() ? NetworkNamespace::current() : NetworkNamespace::open(config.socket_namespace);
    const ScopedNamespace inside(there);
    Netlink netlink;
    return endpoint ? netlink.mtu_towards(*endpoint, config.firewall_mark.value_or(0)) : netlink.mtu_of_default_route();
  } catch (const std::exception&) {
    // The namespace may be made later.
    return std::nullopt;
  }
}

/// About a tunnel to `endpoint`, an address of unknown family if there is none; empty if there is nothing to say.
std::string advice_on_way(const Config& config, const std::optional<Address>& endpoint, const std::string& name) {
  const std::string around = endpoint ? network_around(config, *endpoint) : std::string();
  if (!around.empty() && config.device_namespace == config.socket_namespace) {
    return "Endpoint " + name + " lies in " + around + ": datagrams to it would go into the tunnel themselves";
  }
  // What a tap carries may be larger: it is cut into pieces.
  if (config.mode != DeviceMode::Routed || !config.mtu) return {};
  const std::uint32_t overhead = overhead_over(endpoint ? endpoint->family() : Family::V4);
  const auto path = mtu_towards(config, endpoint);
  if (!path || *config.mtu + overhead <= *path) return {};
  return "MTU " + std::to_string(*config.mtu) + " is more than the " +
         std::to_string(*path > overhead ? *path - overhead : 0) + " that fit through the " +
         (endpoint ? "way to " + name : "default route, which probably leads to " + name);
}

}  // namespace

std::vector<std::string> advice_on(const Config& config, const FindEndpoint& find) {
  std::vector<std::string> advice = config.warnings;
  if (can_others_read(config.path)) {
    advice.push_back(printable(config.path) + ": others can read the file and the key in it (chmod 600)");
  }
  for (const PeerConfig& peer : config.peers) {
    if (!peer.endpoint) continue;
    std::vector<std::optional<Address>> addresses;
    std::string name = printable(peer.endpoint->host);
    if (peer.endpoint->literal) {
      addresses.push_back(peer.endpoint->literal->address);
      name = addresses.front()->to_string();
    } else if (!find) {
      addresses.push_back(std::nullopt);
    } else {
      for (const Endpoint& found : find(*peer.endpoint)) addresses.push_back(found.address);
      if (addresses.empty()) {
        advice.push_back(at(config, peer) + "Endpoint " + name +
                         ": no address is known for this name now; a tunnel starts all the same, and asks again");
      }
    }
    for (const std::optional<Address>& address : addresses) {
      const bool is_of_name = address && !peer.endpoint->literal;
      std::string one = advice_on_way(config, address, is_of_name ? name + " (" + address->to_string() + ")" : name);
      if (one.empty()) continue;
      advice.push_back(at(config, peer) + one);
      break;
    }
  }
  return advice;
}

}  // namespace culvert
