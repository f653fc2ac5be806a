// The MTU of a device whose file has none.
#include "culvert/quick/device_mtu.hpp"

#include <algorithm>
#include <optional>

#include "culvert/io/netlink.hpp"
#include "culvert/protocol/limits.hpp"
#include "culvert/runtime/device_setup.hpp"
#include "overhead.hpp"

namespace culvert {

namespace {

// The larger one, because the way may change.
constexpr std::uint32_t overhead = overhead_over(Family::V6);
constexpr std::uint32_t mtu_min_v6 = 1280;  // RFC 8200, section 5
constexpr std::uint32_t mtu_min_v4 = 576;

bool has_ipv6_in(const Config& config) {
  const auto is_v6 = [](const Prefix& prefix) { return !prefix.address.is_v4(); };
  return std::ranges::any_of(config.addresses, is_v6) || std::ranges::any_of(config.peers, [&](const PeerConfig& peer) {
           return std::ranges::any_of(peer.allowed_ips, is_v6);
         });
}

}  // namespace

std::uint16_t fitting_mtu(const Config& config, const NetworkNamespace& socket_namespace) {
  // What is larger than the path is cut into pieces, so that a bridge need not lower its MTU.
  if (config.mode == DeviceMode::Switched) return static_cast<std::uint16_t>(default_mtu_of(config.mode));
  const ScopedNamespace inside(socket_namespace);
  Netlink netlink;
  std::optional<std::uint32_t> outer;
  for (const PeerConfig& peer : config.peers) {
    if (!peer.endpoint || !peer.endpoint->literal) continue;
    const auto fits = netlink.mtu_towards(peer.endpoint->literal->address, config.firewall_mark.value_or(0));
    if (fits) outer = std::min(outer.value_or(*fits), *fits);
  }
  if (!outer) outer = netlink.mtu_of_default_route();
  const std::uint32_t least = has_ipv6_in(config) ? mtu_min_v6 : mtu_min_v4;
  const std::uint32_t mtu = outer ? std::max(*outer, least + overhead) - overhead : limits::default_mtu;
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(mtu, 65535));
}

}  // namespace culvert
