// A TUN device with its addresses, MTU and routes.
#include "culvert/runtime/device_setup.hpp"

#include <algorithm>
#include <set>
#include <system_error>

#include "culvert/protocol/limits.hpp"

namespace culvert {

namespace {

constexpr std::uint32_t main_table = 254;

}  // namespace

TunDevice set_up_device(const std::string& name, const Config& config, const NetworkNamespace& where,
                        const DeviceSetup& setup) {
  const auto step = [&setup](const std::string& what) {
    if (setup.before_step) setup.before_step(what);
  };
  const ScopedNamespace inside(where);
  step("create device " + name);
  TunDevice device = TunDevice::create(name);
  Netlink netlink;
  const auto link = netlink.find_link(name);
  if (!link) {
    throw std::system_error(std::make_error_code(std::errc::no_such_device),
                            "device " + name + " went away during set-up");
  }
  step("set MTU");
  netlink.set_mtu(link->index, config.mtu.value_or(limits::default_mtu));
  for (const Prefix& address : config.addresses) {
    step("add address " + address.to_string());
    netlink.add_address(link->index, address);
  }
  step("bring up " + name);
  netlink.set_up(link->index, true);
  for (const Route& route : routes_of(config, setup.default_route_table)) {
    step("add route " + route.destination.to_string());
    netlink.add_route(link->index, route);
  }
  return device;
}

std::vector<Route> routes_of(const Config& config, std::uint32_t default_route_table) {
  std::vector<Route> routes;
  if (config.table.kind == RouteTable::Kind::Off) return routes;
  const bool is_auto = config.table.kind == RouteTable::Kind::Auto;
  std::set<Prefix> known;
  for (const PeerConfig& peer : config.peers) {
    for (const Prefix& prefix : peer.allowed_ips) {
      const std::uint32_t auto_table = prefix.length == 0 ? default_route_table : main_table;
      const Route route{prefix.masked(), is_auto ? auto_table : config.table.number};
      // The kernel makes a route in the main table for each address with its prefix length.
      const bool is_implied =
          is_auto && route.table == main_table && std::ranges::any_of(config.addresses, [&](const Prefix& own) {
            return own.length <= prefix.length && own.contains(prefix.address);
          });
      if (!is_implied && known.insert(route.destination).second) routes.push_back(route);
    }
  }
  return routes;
}

}  // namespace culvert
