// Bridges and their ports.
#include <linux/if_link.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/attr.h>

#include <algorithm>
#include <array>

#include "netlink_state.hpp"

namespace culvert {

namespace {

std::array<std::byte, MacAddress::size> bytes_of(MacAddress mac) {
  std::array<std::byte, MacAddress::size> bytes{};
  mac.copy_to(bytes);
  return bytes;
}

void fits(int code) {
  if (code < 0) throw std::bad_alloc();
}

nl::AbstractAddress to_nl(MacAddress mac) {
  const auto bytes = bytes_of(mac);
  return require(nl::AbstractAddress(nl_addr_build(AF_LLC, bytes.data(), bytes.size())));
}

LinkDetails details_of(rtnl_link* link) {
  LinkDetails details;
  const char* const name = rtnl_link_get_name(link);
  const char* const kind = rtnl_link_get_type(link);
  const unsigned flags = rtnl_link_get_flags(link);
  details.name = {static_cast<std::uint32_t>(rtnl_link_get_ifindex(link)), name == nullptr ? "" : name};
  details.mtu = rtnl_link_get_mtu(link);
  details.is_up = (flags & IFF_UP) != 0;
  details.is_loopback = (flags & IFF_LOOPBACK) != 0;
  details.carries_ethernet = rtnl_link_get_arptype(link) == ARPHRD_ETHER;
  details.kind = kind == nullptr ? "" : kind;
  details.master = static_cast<std::uint32_t>(std::max(rtnl_link_get_master(link), 0));
  int elsewhere = 0;
  if (rtnl_link_get_link_netnsid(link, &elsewhere) < 0) {
    details.parent = static_cast<std::uint32_t>(std::max(rtnl_link_get_link(link), 0));
  }
  nl_addr* const mac = rtnl_link_get_addr(link);
  if (details.carries_ethernet && mac != nullptr && nl_addr_get_len(mac) == MacAddress::size) {
    const auto* const bytes = static_cast<const std::byte*>(nl_addr_get_binary_addr(mac));
    details.mac = MacAddress::from_bytes({bytes, MacAddress::size});
  }
  return details;
}

}  // namespace

std::vector<LinkDetails> Netlink::link_details() {
  nl_cache* cache = nullptr;
  state_->check(rtnl_link_alloc_cache(state_->socket.get(), AF_UNSPEC, &cache),
                [] { return "cannot list network interfaces"; });
  const nl::Cache owner(cache);
  std::vector<LinkDetails> all;
  for (nl_object* link = nl_cache_get_first(cache); link != nullptr; link = nl_cache_get_next(link)) {
    all.push_back(details_of(reinterpret_cast<rtnl_link*>(link)));
  }
  return all;
}

void Netlink::add_bridge(const BridgeSettings& settings) {
  // libnl 3.7 knows no attributes of bridges.
  const auto message = require(nl::Message(nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL)));
  ifinfomsg header{};
  fits(nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO));
  fits(nla_put_string(message.get(), IFLA_IFNAME, settings.name.c_str()));
  fits(nla_put_u32(message.get(), IFLA_MTU, settings.mtu));
  fits(nla_put_u32(message.get(), IFLA_GROUP, settings.group));
  if (settings.mac) {
    const auto mac = bytes_of(*settings.mac);
    fits(nla_put(message.get(), IFLA_ADDRESS, int{mac.size()}, mac.data()));
  }
  nlattr* const info = require(nla_nest_start(message.get(), IFLA_LINKINFO));
  fits(nla_put_string(message.get(), IFLA_INFO_KIND, "bridge"));
  nlattr* const data = require(nla_nest_start(message.get(), IFLA_INFO_DATA));
  if (!settings.has_stp) fits(nla_put_u32(message.get(), IFLA_BR_FORWARD_DELAY, 0));
  fits(nla_put_u32(message.get(), IFLA_BR_STP_STATE, settings.has_stp ? 1 : 0));
  nla_nest_end(message.get(), data);
  nla_nest_end(message.get(), info);
  state_->check(state_->tell(message.get()), [&] { return "cannot make bridge " + settings.name; });
}

void Netlink::remove_link(std::uint32_t index) {
  const auto link = require(nl::Link(rtnl_link_alloc()));
  rtnl_link_set_ifindex(link.get(), static_cast<int>(index));
  state_->check(rtnl_link_delete(state_->socket.get(), link.get()),
                [&] { return "cannot remove " + state_->device(index); });
}

void Netlink::set_group(std::uint32_t index, std::uint32_t group) {
  state_->change_link(
      index, [&](rtnl_link* wanted) { rtnl_link_set_group(wanted, group); }, "cannot set the group of");
}

void Netlink::set_master(std::uint32_t index, std::uint32_t master) {
  state_->change_link(
      index, [&](rtnl_link* wanted) { rtnl_link_set_master(wanted, static_cast<int>(master)); },
      master == 0 ? "cannot take out of its bridge" : "cannot put into " + state_->device(master) + " the");
}

void Netlink::set_mac(std::uint32_t index, MacAddress mac) {
  state_->change_link(
      index, [&](rtnl_link* wanted) { rtnl_link_set_addr(wanted, to_nl(mac).get()); }, "cannot set the MAC address of");
}

void Netlink::pin_bridge(std::uint32_t index, MacAddress mac) {
  // A bridge keeps the address that was set, and not one that it took from a port (br_stp_recalculate_bridge_id in
  // net/bridge/br_stp_if.c).
  set_mac(index, mac);
  const nl::Link link = state_->get_link(static_cast<int>(index), nullptr);
  if (!link) throw_system_error(ENODEV, "cannot pin the MTU of a bridge");
  // Likewise an MTU that was set (br_change_mtu); but setting the one that it has is no setting (__dev_set_mtu).
  constexpr std::uint32_t largest = 65535;
  const std::uint32_t mtu = rtnl_link_get_mtu(link.get());
  set_mtu(index, mtu < largest ? mtu + 1 : mtu - 1);
  set_mtu(index, mtu);
}

}  // namespace culvert
