// A TUN device with its addresses, MTU and routes.
#include "culvert/runtime/device_setup.hpp"

#include <algorithm>
#include <system_error>

#include "culvert/protocol/limits.hpp"

namespace culvert {

TunDevice set_up_device(const std::string& name, const Config& config, const NetworkNamespace& where) {
  const ScopedNamespace inside(where);
  TunDevice device = TunDevice::create(name);
  Netlink netlink;
  const auto link = netlink.find_link(name);
  if (!link) {
    throw std::system_error(std::make_error_code(std::errc::no_such_device),
                            "device " + name + " went away during set-up");
  }
  netlink.set_mtu(link->index, config.mtu.value_or(limits::default_mtu));
  for (const Prefix& address : config.addresses) netlink.add_address(link->index, address);
  netlink.set_up(link->index, true);
  for (const Route& route : routes_of(config)) netlink.add_route(link->index, route);
  return device;
}

std::vector<Route> routes_of(const Config& config) {
  std::vector<Route> routes;
  if (config.table.kind == RouteTable::Kind::Off) return routes;
  const bool is_main = config.table.kind == RouteTable::Kind::Auto;
  for (const PeerConfig& peer : config.peers) {
    for (const Prefix& prefix : peer.allowed_ips) {
      // The kernel makes a route in the main table for each address with its prefix length.
      const bool is_implied = is_main && std::ranges::any_of(config.addresses, [&](const Prefix& own) {
                                return own.length <= prefix.length && own.contains(prefix.address);
                              });
      Route route{prefix.masked(), is_main ? Route{}.table : config.table.number};
      const bool is_known =
          std::ranges::any_of(routes, [&](const Route& r) { return r.destination == route.destination; });
      if (!is_implied && !is_known) routes.push_back(route);
    }
  }
  return routes;
}

}  // namespace culvert
