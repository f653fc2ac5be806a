// Routing rules and the kernel's answers about routes, compared with what ip(8) sees.
#include <gmock/gmock.h>
#include <net/if.h>

#include <functional>

#include "culvert/io/netlink.hpp"
#include "support/expect_system_error.hpp"
#include "support/own_namespace.hpp"
#include "support/restrictions.hpp"

namespace culvert {
namespace {

using test::expect_system_error;
using test::in_own_namespace;
using test::output_of;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Address address(const char* text) {
  return Address::parse(text).value();
}

constexpr RoutingRule to_tunnel{
    .family = Family::V4, .priority = 32765, .table = 51820, .unless_mark = 51820, .suppress_prefix_length = {}};
constexpr RoutingRule to_network{
    .family = Family::V4, .priority = 32764, .table = 254, .unless_mark = {}, .suppress_prefix_length = 0};
constexpr RoutingRule to_nowhere{
    .family = Family::V4, .priority = 32763, .table = 0, .unless_mark = 51820, .suppress_prefix_length = {}};

RoutingRule for_family(RoutingRule rule, Family family) {
  rule.family = family;
  return rule;
}

TEST(NetlinkPolicy, makes_the_rules_that_ip_makes) {
  for (const Family family : {Family::V4, Family::V6}) {
    const std::string ip = family == Family::V4 ? "ip -4 rule " : "ip -6 rule ";
    std::string by_ip;
    in_own_namespace([&] {
      output_of(ip + "add not fwmark 51820 table 51820 pref 32765 && " + ip +
                "add table main suppress_prefixlength 0 pref 32764 && " + ip +
                "add not fwmark 51820 unreachable pref 32763");
      by_ip = output_of(ip + "show");
    });
    in_own_namespace([&] {
      Netlink netlink;
      netlink.add_rule(for_family(to_tunnel, family));
      netlink.add_rule(for_family(to_network, family));
      netlink.add_rule(for_family(to_nowhere, family));
      EXPECT_EQ(output_of(ip + "show"), by_ip);
    });
  }
}

TEST(NetlinkPolicy, lists_rules_in_the_order_in_which_they_are_asked) {
  for (const Family family : {Family::V4, Family::V6}) {
    in_own_namespace([&] {
      Netlink netlink;
      const auto before = netlink.rules(family);
      const auto tunnel = for_family(to_tunnel, family);
      const auto network = for_family(to_network, family);
      netlink.add_rule(tunnel);
      netlink.add_rule(network);
      netlink.add_rule(for_family(to_nowhere, family));
      ASSERT_EQ(netlink.rules(family).size(), before.size() + 3);
      EXPECT_EQ(netlink.rules(family)[1], for_family(to_nowhere, family));
      EXPECT_EQ(netlink.rules(family)[2], network);
      EXPECT_EQ(netlink.rules(family)[3], tunnel);
      EXPECT_EQ(netlink.rules(family).front().priority, 0U);
      EXPECT_EQ(netlink.rules(family).back(), before.back());
    });
  }
}

TEST(NetlinkPolicy, adds_a_rule_like_one_that_is_there_and_removes_the_one_of_that_priority) {
  in_own_namespace([] {
    Netlink netlink;
    auto other = to_network;
    other.priority = 100;
    netlink.add_rule(to_network);
    netlink.add_rule(to_network);
    netlink.add_rule(other);
    netlink.remove_rule(to_network);
    EXPECT_THAT(netlink.rules(Family::V4), AllOf(Contains(to_network).Times(1), Contains(other)));
  });
}

TEST(NetlinkPolicy, removes_no_rule_that_differs) {
  in_own_namespace([] {
    Netlink netlink;
    netlink.add_rule(to_tunnel);
    for (auto change : std::vector<std::function<void(RoutingRule&)>>{
             [](RoutingRule& rule) { rule.family = Family::V6; }, [](RoutingRule& rule) { rule.priority = 1; },
             [](RoutingRule& rule) { rule.table = 2; }, [](RoutingRule& rule) { rule.unless_mark = 3; },
             [](RoutingRule& rule) { rule.suppress_prefix_length = 4; }}) {
      RoutingRule other = to_tunnel;
      change(other);
      expect_system_error([&] { netlink.remove_rule(other); }, std::errc::no_such_file_or_directory,
                          HasSubstr("cannot remove IPv"));
    }
    EXPECT_THAT(netlink.rules(Family::V4), Contains(to_tunnel));
    netlink.remove_rule(to_tunnel);
    EXPECT_THAT(netlink.rules(Family::V4), Not(Contains(to_tunnel)));
  });
}

TEST(NetlinkPolicy, tells_a_rule_that_leads_nowhere_from_one_that_leads_to_a_table) {
  in_own_namespace([] {
    Netlink netlink;
    RoutingRule to_table = to_nowhere;
    to_table.table = 7;
    netlink.add_rule(to_table);
    expect_system_error([&] { netlink.remove_rule(to_nowhere); }, std::errc::no_such_file_or_directory,
                        HasSubstr("IPv4 rule 32763: not fwmark 51820 unreachable"));
    netlink.add_rule(to_nowhere);
    netlink.remove_rule(to_table);
    EXPECT_THAT(netlink.rules(Family::V4), AllOf(Contains(to_nowhere), Not(Contains(to_table))));
  });
}

TEST(NetlinkPolicy, says_which_rule_was_refused) {
  in_own_namespace([] {
    Netlink netlink;
    test::drop_capability(CAP_NET_ADMIN);
    expect_system_error([&] { netlink.add_rule(to_tunnel); }, std::errc::operation_not_permitted,
                        AllOf(HasSubstr("IPv4 rule 32765: not fwmark 51820 table 51820"), HasSubstr("CAP_NET_ADMIN")));
    expect_system_error([&] { netlink.add_rule(to_network); }, std::errc::operation_not_permitted,
                        HasSubstr("table 254 suppress_prefixlength 0"));
    EXPECT_FALSE(netlink.rules(Family::V4).empty());
  });
}

TEST(NetlinkPolicy, knows_the_tables_that_have_routes_of_either_family) {
  in_own_namespace([] {
    Netlink netlink;
    output_of("ip route add 10.0.0.0/8 dev lo table 51820 && ip -6 route add fd00::/8 dev lo table 70000");
    EXPECT_THAT(netlink.tables_in_use(), AllOf(Contains(51820U), Contains(70000U), Contains(255U)));
    EXPECT_THAT(netlink.tables_in_use(), Not(Contains(51821U)));
  });
}

TEST(NetlinkPolicy, tells_what_fits_through_the_way_to_an_address) {
  in_own_namespace([] {
    Netlink netlink;
    output_of(
        "ip link add v0 mtu 1400 type veth peer name v1 && ip link set v0 addrgenmode none up && ip link set v1 up");
    output_of("ip addr add 10.0.0.1/24 dev v0 && ip addr add fd00::1/64 dev v0 nodad");
    EXPECT_EQ(netlink.mtu_towards(address("10.0.0.2")), 1400U);
    EXPECT_EQ(netlink.mtu_towards(address("fd00::2")), 1400U);
    output_of("ip route add 10.1.0.0/24 via 10.0.0.2 mtu 1300");
    EXPECT_EQ(netlink.mtu_towards(address("10.1.0.1")), 1300U);
    EXPECT_EQ(netlink.mtu_towards(address("192.0.2.1")), std::nullopt);
    EXPECT_EQ(netlink.mtu_towards(address("2001:db8::1")), std::nullopt);
    EXPECT_EQ(netlink.mtu_towards(address("10.0.0.2")), 1400U) << "works on after a destination without a way";
  });
}

TEST(NetlinkPolicy, follows_the_mark_on_the_way_to_an_address) {
  in_own_namespace([] {
    Netlink netlink;
    output_of("ip route add 192.0.2.0/24 dev lo table 100 mtu 1280 && ip rule add fwmark 5 table 100");
    EXPECT_EQ(netlink.mtu_towards(address("192.0.2.1"), 5), 1280U);
    EXPECT_EQ(netlink.mtu_towards(address("192.0.2.1")), std::nullopt);
  });
}

TEST(NetlinkPolicy, tells_the_interface_on_the_way_from_an_address_of_ours) {
  in_own_namespace([] {
    Netlink netlink;
    output_of(
        "for each in v0 v1; do ip link add $each type veth peer name $each-end && ip link set $each up"
        " && ip link set $each-end up; done");
    output_of("ip addr add 10.0.0.1/24 dev v0 && ip addr add 10.0.1.1/24 dev v1 && ip route add default dev v0");
    output_of("ip addr add fd00::1/64 dev v0 nodad && ip -6 route add default dev v0");
    const std::uint32_t v0 = ::if_nametoindex("v0");
    const std::uint32_t v1 = ::if_nametoindex("v1");
    EXPECT_EQ(netlink.interface_towards(address("192.0.2.1"), address("10.0.0.1")), v0);
    EXPECT_EQ(netlink.interface_towards(address("192.0.2.1"), address("10.0.1.1")), v0);
    EXPECT_EQ(netlink.interface_towards(address("10.0.1.2"), address("10.0.0.1")), v1);
    EXPECT_EQ(netlink.interface_towards(address("2001:db8::1"), address("fd00::1")), v0);
    EXPECT_EQ(netlink.interface_towards(address("192.0.2.1"), address("10.0.0.9")), std::nullopt);
    EXPECT_EQ(netlink.interface_towards(address("2001:db8::1"), address("fd00::9")), std::nullopt);
    output_of("ip route add default dev v1 table 77 && ip -6 route add default dev v1 table 77");
    output_of(
        "ip rule add from 10.0.1.1 table 77 && ip rule add fwmark 5 table 77 && ip -6 rule add fwmark 5 table 77");
    EXPECT_EQ(netlink.interface_towards(address("192.0.2.1"), address("10.0.1.1")), v1);
    EXPECT_EQ(netlink.interface_towards(address("192.0.2.1"), address("10.0.0.1"), 5), v1);
    EXPECT_EQ(netlink.interface_towards(address("2001:db8::1"), address("fd00::1"), 5), v1);
    output_of("ip route del default && ip -6 route del default");
    EXPECT_EQ(netlink.interface_towards(address("192.0.2.1"), address("10.0.0.1")), std::nullopt);
    EXPECT_EQ(netlink.interface_towards(address("2001:db8::1"), address("fd00::1")), std::nullopt);
    EXPECT_EQ(netlink.interface_towards(address("10.0.0.2"), address("10.0.0.1")), v0) << "works on after that";
  });
}

TEST(NetlinkPolicy, tells_what_fits_through_the_preferred_default_route) {
  in_own_namespace([] {
    Netlink netlink;
    EXPECT_EQ(netlink.mtu_of_default_route(), std::nullopt);
    output_of("ip link add v0 mtu 1400 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
    output_of("ip -6 route add default dev v0");
    EXPECT_EQ(netlink.mtu_of_default_route(), 1400U);
    output_of("ip route add default dev v0 table 77 mtu 1281 && ip route add 10.0.0.0/8 dev v0 mtu 1282");
    output_of("ip route add unreachable default metric 5");
    EXPECT_EQ(netlink.mtu_of_default_route(), 1400U);
    output_of("ip route add default dev lo metric 20 && ip route add default dev v0 metric 10 mtu 1300");
    EXPECT_EQ(netlink.mtu_of_default_route(), 1300U);
  });
}

TEST(NetlinkPolicy, takes_the_first_of_several_hops_of_a_default_route) {
  in_own_namespace([] {
    Netlink netlink;
    output_of("ip link add v0 mtu 1400 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
    output_of("ip addr add 10.0.0.1/24 dev v0");
    output_of("ip route add default nexthop via 10.0.0.2 dev v0 nexthop via 10.0.0.3 dev v0");
    EXPECT_EQ(netlink.mtu_of_default_route(), 1400U);
  });
}

}  // namespace
}  // namespace culvert
