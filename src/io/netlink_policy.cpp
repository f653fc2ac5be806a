// Routing rules, and what the kernel would do with a packet.
#include <linux/fib_rules.h>
#include <netlink/attr.h>

#include <algorithm>
#include <array>
#include <set>

#include "netlink_state.hpp"

namespace culvert {

namespace {

constexpr std::uint32_t whole_mark = 0xffffffff;

std::string describe(const RoutingRule& rule) {
  std::string text = rule.family == Family::V4 ? "IPv4 rule " : "IPv6 rule ";
  text += std::to_string(rule.priority) + ": ";
  if (rule.unless_mark) text += "not fwmark " + std::to_string(*rule.unless_mark) + " ";
  text += rule.table == 0 ? "unreachable" : "table " + std::to_string(rule.table);
  if (rule.suppress_prefix_length) text += " suppress_prefixlength " + std::to_string(*rule.suppress_prefix_length);
  return text;
}

nl::Message make_message(int type, int flags) {
  return require(nl::Message(nlmsg_alloc_simple(type, flags)));
}

void fits(int code) {
  if (code < 0) throw std::bad_alloc();
}

nl::Message rule_message(int type, int flags, const RoutingRule& rule) {
  auto message = make_message(type, flags);
  fib_rule_hdr header{};
  header.family = static_cast<std::uint8_t>(address_family(rule.family));
  header.action = rule.table == 0 ? FR_ACT_UNREACHABLE : FR_ACT_TO_TBL;
  if (rule.unless_mark) header.flags = FIB_RULE_INVERT;
  fits(nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO));
  fits(nla_put_u32(message.get(), FRA_PRIORITY, rule.priority));
  if (rule.table != 0) fits(nla_put_u32(message.get(), FRA_TABLE, rule.table));
  if (rule.unless_mark) {
    fits(nla_put_u32(message.get(), FRA_FWMARK, *rule.unless_mark));
    fits(nla_put_u32(message.get(), FRA_FWMASK, whole_mark));
  }
  if (rule.suppress_prefix_length) {
    fits(nla_put_u32(message.get(), FRA_SUPPRESS_PREFIXLEN, *rule.suppress_prefix_length));
  }
  return message;
}

template <std::size_t Count>
using Attributes = std::array<nlattr*, Count>;

std::optional<std::uint32_t> number(nlattr* attribute) {
  if (attribute == nullptr) return std::nullopt;
  return nla_get_u32(attribute);
}

RoutingRule rule_of(nlmsghdr* answer, Family family) {
  Attributes<FRA_MAX + 1> attributes{};
  RoutingRule rule;
  rule.family = family;
  if (nlmsg_parse(answer, sizeof(fib_rule_hdr), attributes.data(), FRA_MAX, nullptr) < 0) return rule;
  const auto* header = static_cast<const fib_rule_hdr*>(nlmsg_data(answer));
  rule.priority = number(attributes[FRA_PRIORITY]).value_or(0);
  rule.table = number(attributes[FRA_TABLE]).value_or(header->table);
  if ((header->flags & FIB_RULE_INVERT) != 0) rule.unless_mark = number(attributes[FRA_FWMARK]);
  // The kernel's word for "suppresses nothing" is -1.
  rule.suppress_prefix_length = number(attributes[FRA_SUPPRESS_PREFIXLEN]);
  if (rule.suppress_prefix_length == whole_mark) rule.suppress_prefix_length.reset();
  return rule;
}

/// The parts of a route that tell what fits through it.
struct Way {
  std::uint32_t table = 0;
  std::uint32_t priority = 0;
  std::uint8_t destination_length = 0;
  std::uint8_t type = RTN_UNSPEC;
  std::uint32_t interface_index = 0;
  std::uint32_t mtu = 0;  ///< of the route itself; 0: the link's
};

Way way_of(nlmsghdr* answer) {
  Way way;
  Attributes<RTA_MAX + 1> attributes{};
  if (nlmsg_parse(answer, sizeof(rtmsg), attributes.data(), RTA_MAX, nullptr) < 0) return way;
  const auto* header = static_cast<const rtmsg*>(nlmsg_data(answer));
  way.table = number(attributes[RTA_TABLE]).value_or(header->rtm_table);
  way.priority = number(attributes[RTA_PRIORITY]).value_or(0);
  way.destination_length = header->rtm_dst_len;
  way.type = header->rtm_type;
  way.interface_index = number(attributes[RTA_OIF]).value_or(0);
  if (attributes[RTA_MULTIPATH] != nullptr && nla_len(attributes[RTA_MULTIPATH]) >= int{sizeof(rtnexthop)}) {
    const auto* hop = static_cast<const rtnexthop*>(nla_data(attributes[RTA_MULTIPATH]));
    way.interface_index = static_cast<std::uint32_t>(hop->rtnh_ifindex);
  }
  Attributes<RTAX_MAX + 1> metrics{};
  if (attributes[RTA_METRICS] != nullptr &&
      nla_parse_nested(metrics.data(), RTAX_MAX, attributes[RTA_METRICS], nullptr) >= 0) {
    way.mtu = number(metrics[RTAX_MTU]).value_or(0);
  }
  return way;
}

nl::Message route_dump(Family family) {
  auto message = make_message(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP);
  rtmsg header{};
  header.rtm_family = static_cast<std::uint8_t>(address_family(family));
  fits(nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO));
  return message;
}

nl::Message route_query(const Address& destination, std::uint32_t mark, const Address* source = nullptr) {
  auto message = make_message(RTM_GETROUTE, NLM_F_REQUEST);
  rtmsg header{};
  header.rtm_family = static_cast<std::uint8_t>(address_family(destination.family()));
  header.rtm_dst_len = static_cast<std::uint8_t>(destination.bits());
  if (source != nullptr) header.rtm_src_len = static_cast<std::uint8_t>(source->bits());
  fits(nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO));
  const auto put_address = [&](int type, ByteView bytes) {
    fits(nla_put(message.get(), type, static_cast<int>(bytes.size()), bytes.data()));
  };
  put_address(RTA_DST, destination.bytes());
  if (source != nullptr) put_address(RTA_SRC, source->bytes());
  fits(nla_put_u32(message.get(), RTA_MARK, mark));
  return message;
}

}  // namespace

void Netlink::add_rule(const RoutingRule& rule) {
  const auto message = rule_message(RTM_NEWRULE, NLM_F_CREATE, rule);
  state_->check(state_->tell(message.get()), [&] { return "cannot add " + describe(rule); });
}

void Netlink::remove_rule(const RoutingRule& rule) {
  const auto message = rule_message(RTM_DELRULE, 0, rule);
  state_->check(state_->tell(message.get()), [&] { return "cannot remove " + describe(rule); });
}

std::vector<RoutingRule> Netlink::rules(Family family) {
  const auto message = make_message(RTM_GETRULE, NLM_F_REQUEST | NLM_F_DUMP);
  fib_rule_hdr header{};
  header.family = static_cast<std::uint8_t>(address_family(family));
  fits(nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO));
  std::vector<RoutingRule> all;
  // Asked for a family it does not know, the kernel answers for all.
  const auto collect = [&](nlmsghdr* answer) {
    const auto* found = static_cast<const fib_rule_hdr*>(nlmsg_data(answer));
    if (found->family == header.family) all.push_back(rule_of(answer, family));
  };
  const int code = state_->ask(message.get(), collect);
  if (code < 0 && (state_->kernel_error == EAFNOSUPPORT || state_->kernel_error == EOPNOTSUPP)) {
    state_->kernel_error = 0;
    return {};
  }
  state_->check(code, [] { return "cannot list routing rules"; });
  return all;
}

std::vector<std::uint32_t> Netlink::tables_in_use() {
  std::set<std::uint32_t> tables;
  for (const Family family : {Family::V4, Family::V6}) {
    const auto message = route_dump(family);
    const auto collect = [&](nlmsghdr* answer) { tables.insert(way_of(answer).table); };
    state_->check(state_->ask(message.get(), collect), [] { return "cannot list routes"; });
  }
  return {tables.begin(), tables.end()};
}

std::optional<std::uint32_t> Netlink::mtu_towards(const Address& destination, std::uint32_t mark) {
  const auto message = route_query(destination, mark);
  Way way;
  const int code = state_->ask(message.get(), [&](nlmsghdr* answer) { way = way_of(answer); });
  if (code < 0) {
    // No way there, whatever the reason: unreachable, prohibited, a family that is switched off.
    state_->kernel_error = 0;
    return std::nullopt;
  }
  if (way.mtu != 0) return way.mtu;
  const nl::Link link = state_->get_link(static_cast<int>(way.interface_index), nullptr);
  if (!link) return std::nullopt;
  return rtnl_link_get_mtu(link.get());
}

std::optional<std::uint32_t> Netlink::interface_towards(const Address& destination, const Address& source,
                                                        std::uint32_t mark) {
  Way way;
  const auto has_way = [&](nl_msg* message) {
    const int code = state_->ask(message, [&](nlmsghdr* answer) { way = way_of(answer); });
    if (code >= 0) return true;
    if (state_->kernel_error == 0) state_->fail(code, "cannot ask for the way to " + destination.to_string());
    state_->kernel_error = 0;
    return false;
  };
  // For IPv4 the kernel refuses a source that is not the host's; for IPv6 it finds the way all the same
  // (ip_route_output_key_hash_rcu, ip6_route_output_flags).
  if (!source.is_v4()) {
    const auto own = route_query(source, mark);
    if (!has_way(own.get()) || way.type != RTN_LOCAL) return std::nullopt;
  }
  const auto message = route_query(destination, mark, &source);
  if (!has_way(message.get())) return std::nullopt;
  return way.interface_index;
}

std::optional<std::uint32_t> Netlink::mtu_of_default_route() {
  for (const Family family : {Family::V4, Family::V6}) {
    std::optional<Way> best;
    const auto message = route_dump(family);
    const auto collect = [&](nlmsghdr* answer) {
      const Way way = way_of(answer);
      const bool is_default = way.destination_length == 0 && way.table == RT_TABLE_MAIN && way.type == RTN_UNICAST;
      if (is_default && (!best || way.priority < best->priority)) best = way;
    };
    state_->check(state_->ask(message.get(), collect), [] { return "cannot list routes"; });
    if (!best) continue;
    if (best->mtu != 0) return best->mtu;
    const nl::Link link = state_->get_link(static_cast<int>(best->interface_index), nullptr);
    if (link) return rtnl_link_get_mtu(link.get());
  }
  return std::nullopt;
}

}  // namespace culvert
