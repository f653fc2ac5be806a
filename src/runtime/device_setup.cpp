// A TUN device with its addresses, MTU and routes.
#include "culvert/runtime/device_setup.hpp"

#include <sched.h>

#include <algorithm>
#include <set>
#include <system_error>

#include "culvert/io/sysctl.hpp"
#include "culvert/protocol/limits.hpp"
#include "culvert/runtime/log.hpp"

namespace culvert {

namespace {

constexpr std::uint32_t main_table = 254;
constexpr std::size_t workers_by_default_max = 4;

Link present_link(Netlink& netlink, const std::string& name) {
  const auto link = netlink.find_link(name);
  if (!link) throw std::system_error(std::make_error_code(std::errc::no_such_device), "changing device " + name);
  return *link;
}

bool is_in(const std::vector<Prefix>& all, const Prefix& one) {
  return std::ranges::find(all, one) != all.end();
}

/// Addresses of `config` and `wanted` routes, as far as the device has none and could have them.
void add_missing(Netlink& netlink, const Link& link, const Config& config, const std::vector<Route>& wanted) {
  const bool with_v6 = has_ipv6(link.name);
  const auto is_possible = [with_v6](const Prefix& prefix) { return prefix.address.is_v4() || with_v6; };
  const std::vector<Prefix> addresses = netlink.addresses(link.index);
  for (const Prefix& address : config.addresses) {
    if (is_possible(address) && !is_in(addresses, address)) netlink.add_address(link.index, address);
  }
  const std::vector<Route> routes = netlink.routes(link.index);
  const std::set<Route> present(routes.begin(), routes.end());
  for (const Route& route : wanted) {
    if (is_possible(route.destination) && !present.contains(route)) netlink.add_route(link.index, route);
  }
}

}  // namespace

TunDevice set_up_device(const std::string& name, const Config& config, const NetworkNamespace& where,
                        const DeviceSetup& setup) {
  const auto step = [&setup](const std::string& what) {
    if (setup.before_step) setup.before_step(what);
  };
  const ScopedNamespace inside(where);
  step("create device " + name);
  TunDevice device = TunDevice::create(name, config.offloads.device, workers_of(config),
                                       config.mode == DeviceMode::Switched ? DeviceLayer::Ethernet : DeviceLayer::Ip);
  Netlink netlink;
  const auto link = netlink.find_link(name);
  if (!link) {
    throw std::system_error(std::make_error_code(std::errc::no_such_device),
                            "device " + name + " went away during set-up");
  }
  step("set MTU");
  netlink.set_mtu(link->index, config.mtu.value_or(default_mtu_of(config.mode)));
  const bool with_v6 = has_ipv6(name);
  bool is_v6_left_out = false;
  const auto is_possible = [&](const Prefix& prefix) {
    const bool is_one = prefix.address.is_v4() || with_v6;
    is_v6_left_out = is_v6_left_out || !is_one;
    return is_one;
  };
  for (const Prefix& address : config.addresses) {
    if (!is_possible(address)) continue;
    step("add address " + address.to_string());
    netlink.add_address(link->index, address);
  }
  step("bring up " + name);
  netlink.set_up(link->index, true);
  if (!config.bridge.empty()) {
    step("put " + name + " into " + config.bridge);
    const auto bridge = netlink.find_link(config.bridge);
    if (!bridge) throw std::system_error(ENODEV, std::system_category(), "looking for bridge " + config.bridge);
    netlink.set_master(link->index, bridge->index);
  }
  for (const Route& route : routes_of(config, setup.default_route_table)) {
    if (!is_possible(route.destination)) continue;
    step("add route " + route.destination.to_string());
    netlink.add_route(link->index, route);
  }
  if (is_v6_left_out) spdlog::warn("IPv6 is switched off here: {} does without its IPv6 addresses and routes", name);
  return device;
}

void change_device(const std::string& name, const NetworkNamespace& where, const Config& before,
                   std::uint32_t table_before, const Config& wanted, std::uint32_t wanted_table) {
  const ScopedNamespace inside(where);
  Netlink netlink;
  const Link link = present_link(netlink, name);
  // First, because an MTU below IPv6's least takes away all that is IPv6.
  const std::uint32_t mtu = wanted.mtu.value_or(default_mtu_of(wanted.mode));
  if (link.mtu != mtu) netlink.set_mtu(link.index, mtu);
  const bool with_v6 = has_ipv6(name);
  const std::vector<Route> wanted_routes = routes_of(wanted, wanted_table);
  const std::set<Route> kept(wanted_routes.begin(), wanted_routes.end());
  const std::vector<Route> routes = netlink.routes(link.index);
  const std::set<Route> present(routes.begin(), routes.end());
  for (const Route& route : wanted_routes) {
    // What goes everywhere must not find another way while it changes tables.
    const bool is_default = route.destination.length == 0 && (route.destination.address.is_v4() || with_v6);
    if (is_default && !present.contains(route)) netlink.add_route(link.index, route);
  }
  for (const Route& route : routes_of(before, table_before)) {
    if (present.contains(route) && !kept.contains(route)) netlink.remove_route(link.index, route);
  }
  const std::vector<Prefix> addresses = netlink.addresses(link.index);
  for (const Prefix& address : before.addresses) {
    if (is_in(addresses, address) && !is_in(wanted.addresses, address)) netlink.remove_address(link.index, address);
  }
  // With the first IPv4 address of a network the kernel may have removed the others, and with an address the routes it
  // implies.
  add_missing(netlink, link, wanted, wanted_routes);
}

void restore_device(const std::string& name, const Config& config, const NetworkNamespace& where,
                    std::uint32_t default_route_table) {
  const ScopedNamespace inside(where);
  Netlink netlink;
  const Link link = present_link(netlink, name);
  add_missing(netlink, link, config, routes_of(config, default_route_table));
}

std::size_t processors_allowed() {
  cpu_set_t allowed;
  return ::sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? static_cast<std::size_t>(CPU_COUNT(&allowed)) : 1;
}

std::size_t workers_of(const Config& config) {
  if (config.queues) return *config.queues;
  const std::size_t processors = processors_allowed();
  // Two are busy enough with one worker and whoever sends and receives what it carries.
  return processors <= 2 ? 1 : std::min<std::size_t>(processors - 1, workers_by_default_max);
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
