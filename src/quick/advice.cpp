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

std::optional<std::uint32_t> mtu_towards(const Config& config, const Address& endpoint) {
  try {
    const NetworkNamespace there =
        config.socket_namespace.empty() ? NetworkNamespace::current() : NetworkNamespace::open(config.socket_namespace);
    const ScopedNamespace inside(there);
    return Netlink().mtu_towards(endpoint, config.firewall_mark.value_or(0));
  } catch (const std::exception&) {
    // The namespace may be made later.
    return std::nullopt;
  }
}

}  // namespace

std::vector<std::string> advice_on(const Config& config) {
  std::vector<std::string> advice = config.warnings;
  if (can_others_read(config.path)) {
    advice.push_back(printable(config.path) + ": others can read the file and the key in it (chmod 600)");
  }
  for (const PeerConfig& peer : config.peers) {
    if (!peer.endpoint || !peer.endpoint->literal) continue;
    const Address& endpoint = peer.endpoint->literal->address;
    const std::string around = network_around(config, endpoint);
    if (!around.empty() && config.device_namespace == config.socket_namespace) {
      advice.push_back(at(config, peer) + "Endpoint " + endpoint.to_string() + " lies in " + around +
                       ": datagrams to it would go into the tunnel themselves");
      continue;
    }
    const std::uint32_t overhead = overhead_over(endpoint.family());
    const auto path = mtu_towards(config, endpoint);
    // What a tap carries may be larger: it is cut into pieces.
    if (config.mode == DeviceMode::Routed && config.mtu && path && *config.mtu + overhead > *path) {
      advice.push_back(at(config, peer) + "MTU " + std::to_string(*config.mtu) + " is more than the " +
                       std::to_string(*path > overhead ? *path - overhead : 0) + " that fit through the way to " +
                       endpoint.to_string());
    }
  }
  return advice;
}

}  // namespace culvert
