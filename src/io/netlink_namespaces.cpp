// Links between network namespaces, and the numbers by which namespaces know each other.
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <netlink/attr.h>
#include <netlink/route/link/veth.h>

#include "netlink_state.hpp"

namespace culvert {

namespace {

constexpr std::int32_t no_number = NETNSA_NSID_NOT_ASSIGNED;

void fits(int code) {
  if (code < 0) throw std::bad_alloc();
}

nl::Message namespace_request(int type, int flags) {
  auto message = require(nl::Message(nlmsg_alloc_simple(type, flags)));
  rtgenmsg header{};
  header.rtgen_family = AF_UNSPEC;
  fits(nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO));
  return message;
}

std::int32_t number_in(nlmsghdr* answer) {
  const nlattr* const number = nlmsg_find_attr(answer, sizeof(rtgenmsg), NETNSA_NSID);
  return answer->nlmsg_type == RTM_NEWNSID && number != nullptr ? nla_get_s32(number) : no_number;
}

}  // namespace

void Netlink::add_veth(const VethSettings& settings) {
  const auto link = require(nl::Link(rtnl_link_veth_alloc()));
  const auto peer = require(nl::Link(rtnl_link_veth_get_peer(link.get())));
  rtnl_link_set_name(link.get(), settings.name.c_str());
  rtnl_link_set_name(peer.get(), settings.peer_name.c_str());
  if (settings.peer_namespace >= 0) rtnl_link_set_ns_fd(peer.get(), settings.peer_namespace);
  rtnl_link_set_group(link.get(), settings.group);
  if (settings.mtu) {
    rtnl_link_set_mtu(link.get(), *settings.mtu);
    rtnl_link_set_mtu(peer.get(), *settings.mtu);
  }
  state_->check(rtnl_link_add(state_->socket.get(), link.get(), NLM_F_CREATE | NLM_F_EXCL),
                [&] { return "cannot make the veth pair " + settings.name + " and " + settings.peer_name; });
}

void Netlink::move_link(std::uint32_t index, int network_namespace, const std::string& name) {
  state_->change_link(
      index,
      [&](rtnl_link* wanted) {
        rtnl_link_set_ns_fd(wanted, network_namespace);
        if (!name.empty()) rtnl_link_set_name(wanted, name.c_str());
      },
      "cannot move to another network namespace");
}

std::optional<std::string> Netlink::name_of_link_in(std::int32_t network_namespace, std::uint32_t index) {
  const auto message = require(nl::Message(nlmsg_alloc_simple(RTM_GETLINK, 0)));
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  fits(nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO));
  fits(nla_put_s32(message.get(), IFLA_TARGET_NETNSID, network_namespace));
  std::optional<std::string> found;
  const int code = state_->ask(message.get(), [&](nlmsghdr* answer) {
    const nlattr* const name = nlmsg_find_attr(answer, sizeof(ifinfomsg), IFLA_IFNAME);
    if (name != nullptr) found = nla_get_string(name);
  });
  // Not there, or not to be seen by who may do nothing there.
  if (code < 0) state_->kernel_error = 0;
  return found;
}

std::optional<std::int32_t> Netlink::namespace_number(int network_namespace) {
  const auto message = namespace_request(RTM_GETNSID, 0);
  fits(nla_put_u32(message.get(), NETNSA_FD, static_cast<std::uint32_t>(network_namespace)));
  std::int32_t number = no_number;
  const int code = state_->ask(message.get(), [&](nlmsghdr* answer) { number = number_in(answer); });
  state_->check(code, [] { return "cannot ask for the number of a network namespace"; });
  return number == no_number ? std::nullopt : std::optional(number);
}

std::vector<std::int32_t> Netlink::namespace_numbers() {
  const auto message = namespace_request(RTM_GETNSID, NLM_F_DUMP);
  std::vector<std::int32_t> all;
  const int code = state_->ask(message.get(), [&](nlmsghdr* answer) {
    if (const std::int32_t number = number_in(answer); number != no_number) all.push_back(number);
  });
  state_->check(code, [] { return "cannot list the numbers of network namespaces"; });
  return all;
}

void Netlink::set_namespace_number(int network_namespace, std::optional<std::int32_t> number) {
  const auto message = namespace_request(RTM_NEWNSID, 0);
  fits(nla_put_u32(message.get(), NETNSA_FD, static_cast<std::uint32_t>(network_namespace)));
  fits(nla_put_s32(message.get(), NETNSA_NSID, number.value_or(no_number)));
  state_->check(state_->tell(message.get()), [&] {
    return number ? "cannot give a network namespace the number " + std::to_string(*number)
                  : std::string("cannot give a network namespace a number");
  });
}

}  // namespace culvert
