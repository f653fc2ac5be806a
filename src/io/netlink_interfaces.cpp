// Listing interfaces and the ports of bridges.
#include <linux/if.h>
#include <net/if_arp.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/macvlan.h>
#include <netlink/route/link/vlan.h>

#include <algorithm>
#include <array>

#include "netlink_state.hpp"

namespace culvert {

namespace {

template <class Visit>
void for_each_link(nl_cache* cache, Visit visit) {
  for (nl_object* object = nl_cache_get_first(cache); object != nullptr; object = nl_cache_get_next(object)) {
    visit(reinterpret_cast<rtnl_link*>(object));
  }
}

std::string detail_of(rtnl_link* link) {
  if (rtnl_link_is_vlan(link) != 0) return "id " + std::to_string(rtnl_link_vlan_get_id(link));
  if (rtnl_link_is_macvlan(link) == 0) return {};
  std::array<char, 32> mode{};
  rtnl_link_macvlan_mode2str(static_cast<int>(rtnl_link_macvlan_get_mode(link)), mode.data(), mode.size());
  return std::string("mode ") + mode.data();
}

InterfaceFacts facts_of(rtnl_link* link) {
  InterfaceFacts facts;
  const char* const name = rtnl_link_get_name(link);
  const char* const kind = rtnl_link_get_type(link);
  const unsigned flags = rtnl_link_get_flags(link);
  facts.name = {static_cast<std::uint32_t>(rtnl_link_get_ifindex(link)), name == nullptr ? "" : name};
  facts.mtu = rtnl_link_get_mtu(link);
  facts.is_up = (flags & IFF_UP) != 0;
  facts.has_carrier = (flags & IFF_LOWER_UP) != 0;
  facts.is_loopback = (flags & IFF_LOOPBACK) != 0;
  facts.carries_ethernet = rtnl_link_get_arptype(link) == ARPHRD_ETHER;
  std::array<char, 32> state{};
  facts.state = rtnl_link_operstate2str(rtnl_link_get_operstate(link), state.data(), state.size());
  facts.kind = kind == nullptr ? "" : kind;
  facts.detail = detail_of(link);
  nl_addr* const mac = rtnl_link_get_addr(link);
  if (facts.carries_ethernet && mac != nullptr && nl_addr_get_len(mac) == MacAddress::size) {
    const auto* const bytes = static_cast<const std::byte*>(nl_addr_get_binary_addr(mac));
    facts.mac = MacAddress::from_bytes({bytes, MacAddress::size});
  }
  facts.master = static_cast<std::uint32_t>(std::max(rtnl_link_get_master(link), 0));
  facts.group = rtnl_link_get_group(link);
  facts.other = static_cast<std::uint32_t>(std::max(rtnl_link_get_link(link), 0));
  std::int32_t elsewhere = 0;
  if (rtnl_link_get_link_netnsid(link, &elsewhere) == 0) facts.other_namespace = elsewhere;
  return facts;
}

}  // namespace

std::string_view word_for(BridgePort::State state) noexcept {
  switch (state) {
    case BridgePort::State::Disabled:
      return "disabled";
    case BridgePort::State::Listening:
      return "listening";
    case BridgePort::State::Learning:
      return "learning";
    case BridgePort::State::Forwarding:
      return "forwarding";
    case BridgePort::State::Blocking:
      return "blocking";
  }
  return "unknown";
}

std::vector<InterfaceFacts> Netlink::interfaces() {
  nl_cache* cache = nullptr;
  state_->check(rtnl_link_alloc_cache(state_->socket.get(), AF_UNSPEC, &cache),
                [] { return "cannot list network interfaces"; });
  const nl::Cache owner(cache);
  std::vector<InterfaceFacts> all;
  for_each_link(cache, [&](rtnl_link* link) { all.push_back(facts_of(link)); });
  return all;
}

std::optional<InterfaceFacts> Netlink::find_interface(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) return std::nullopt;
  const nl::Link link = state_->get_link(0, name.c_str());
  if (!link) return std::nullopt;
  return facts_of(link.get());
}

std::vector<BridgePort> Netlink::bridge_ports() {
  nl_cache* cache = nullptr;
  state_->check(rtnl_link_alloc_cache(state_->socket.get(), AF_BRIDGE, &cache),
                [] { return "cannot list the ports of bridges"; });
  const nl::Cache owner(cache);
  std::vector<BridgePort> all;
  for_each_link(cache, [&](rtnl_link* link) {
    // Bridges are listed as well, each as a port of itself.
    const bool is_port = rtnl_link_get_master(link) > 0 && rtnl_link_get_master(link) != rtnl_link_get_ifindex(link);
    if (rtnl_link_is_bridge(link) == 0 || !is_port) return;
    const int state = rtnl_link_bridge_get_port_state(link);
    if (state < 0) return;
    BridgePort port;
    port.index = static_cast<std::uint32_t>(rtnl_link_get_ifindex(link));
    port.bridge = static_cast<std::uint32_t>(rtnl_link_get_master(link));
    port.state = static_cast<BridgePort::State>(state);
    port.priority = static_cast<std::uint32_t>(std::max(rtnl_link_bridge_get_priority(link), 0));
    std::uint32_t cost = 0;
    if (rtnl_link_bridge_get_cost(link, &cost) == 0) port.cost = cost;
    all.push_back(port);
  });
  return all;
}

}  // namespace culvert
