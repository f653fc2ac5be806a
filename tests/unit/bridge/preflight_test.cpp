// What is refused, and why: one fact at a time.
#include "culvert/bridge/preflight.hpp"

#include <gmock/gmock.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>

namespace culvert {
namespace {

using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

LinkDetails link(std::uint32_t index, const std::string& name, const std::string& kind = "") {
  LinkDetails details;
  details.name = {index, name};
  details.mtu = 1500;
  details.is_up = details.carries_ethernet = true;
  details.kind = kind;
  return details;
}

NetworkObject address(std::uint8_t scope, std::uint32_t valid = 0xffffffff) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = 24;
  header.ifa_scope = scope;
  header.ifa_index = 2;
  NetworkObject object;
  object.kind = NetworkObject::Kind::Address;
  const auto bytes = std::as_bytes(std::span(&header, 1));
  object.header.assign(bytes.begin(), bytes.end());
  const ifa_cacheinfo lifetimes{valid, valid, 0, 0};
  const auto value = std::as_bytes(std::span(&lifetimes, 1));
  object.attributes.push_back({IFA_CACHEINFO, {value.begin(), value.end()}});
  return object;
}

class Preflight : public ::testing::Test {
 protected:
  std::string refusal() { return refusal_of(wish_, facts_).value_or("none"); }
  LinkDetails& nic() { return facts_.links[1]; }
  LinkDetails& tap() { return facts_.links[2]; }

  BridgeWish wish_{.nic = "eth0", .bridge = "br0", .tap = "tap0", .confirm = seconds(60), .has_stp = false};
  BridgeFacts facts_{.links = {link(1, "lo"), link(2, "eth0"), link(3, "tap0", "tun")},
                     .objects = {address(RT_SCOPE_UNIVERSE)},
                     .surroundings = {}};
};

TEST_F(Preflight, lets_a_sound_wish_pass) {
  EXPECT_EQ(refusal(), "none");
  EXPECT_THAT(cautions_about(wish_, facts_), IsEmpty());
}

TEST_F(Preflight, refuses_a_nic_that_is_not_there) {
  wish_.nic = "eth9";
  EXPECT_THAT(refusal(), HasSubstr("no interface eth9 in this network namespace"));
}

TEST_F(Preflight, refuses_a_device_that_carries_no_ethernet) {
  nic().carries_ethernet = false;
  EXPECT_THAT(refusal(), AllOf(HasSubstr("eth0"), HasSubstr("no Ethernet"), HasSubstr("route instead")));
  nic().carries_ethernet = true;
  tap().carries_ethernet = false;
  EXPECT_THAT(refusal(), AllOf(HasSubstr("tap0"), HasSubstr("no Ethernet")));
}

TEST_F(Preflight, b10_refuses_wifi) {
  facts_.surroundings.is_wifi = true;
  EXPECT_THAT(refusal(), HasSubstr("Wi-Fi"));
}

TEST_F(Preflight, b10_refuses_a_port_of_another_bridge) {
  facts_.links.push_back(link(4, "br7", "bridge"));
  nic().master = 4;
  EXPECT_THAT(refusal(), HasSubstr("port of br7 already"));
  nic().master = 0;
  tap().master = 4;
  EXPECT_THAT(refusal(), AllOf(HasSubstr("tap0"), HasSubstr("port of br7 already")));
}

TEST_F(Preflight, refuses_loopback_and_bridges_as_ports) {
  nic().is_loopback = true;
  EXPECT_THAT(refusal(), HasSubstr("loopback"));
  nic().is_loopback = false;
  nic().kind = "bridge";
  EXPECT_THAT(refusal(), HasSubstr("bridge in a bridge"));
}

TEST_F(Preflight, refuses_the_parent_of_a_macvlan_and_not_that_of_a_vlan) {
  facts_.links.push_back(link(4, "child", "vlan"));
  facts_.links.back().parent = 2;
  EXPECT_EQ(refusal(), "none");
  for (const char* kind : {"macvlan", "macvtap", "ipvlan"}) {
    facts_.links.back().kind = kind;
    EXPECT_THAT(refusal(), AllOf(HasSubstr(kind), HasSubstr("child")));
  }
  facts_.links.back().parent = 1;
  EXPECT_EQ(refusal(), "none");
}

TEST_F(Preflight, refuses_a_bridge_that_is_none_or_has_the_name_of_the_nic) {
  facts_.links.push_back(link(4, "br0", "veth"));
  EXPECT_THAT(refusal(), HasSubstr("is no bridge"));
  wish_.bridge = "eth0";
  EXPECT_THAT(refusal(), HasSubstr("one name"));
}

TEST_F(Preflight, lets_only_a_nic_without_addresses_join_a_bridge_that_is_there) {
  facts_.links.push_back(link(4, "br0", "bridge"));
  EXPECT_THAT(refusal(), HasSubstr("a bridge of its own"));
  facts_.objects = {address(RT_SCOPE_LINK)};
  EXPECT_EQ(refusal(), "none");
  facts_.links.back().mtu = 9000;
  EXPECT_THAT(refusal(), AllOf(HasSubstr("eth0"), HasSubstr("9000")));
}

TEST_F(Preflight, refuses_a_tap_with_a_smaller_mtu_one_that_is_missing_and_the_nic_twice) {
  tap().mtu = 1499;
  EXPECT_THAT(refusal(), AllOf(HasSubstr("tap0"), HasSubstr("mtu 1500")));
  wish_.tap = "tap9";
  EXPECT_THAT(refusal(), HasSubstr("no interface tap9"));
  wish_.tap = "eth0";
  EXPECT_THAT(refusal(), HasSubstr("named as the NIC and as the tap"));
}

TEST_F(Preflight, refuses_a_managed_nic_and_names_the_native_way) {
  facts_.surroundings.manager = NicManager{"NetworkManager", "nmcli connection add"};
  EXPECT_THAT(refusal(), AllOf(HasSubstr("NetworkManager"), HasSubstr("nmcli connection add")));
}

TEST_F(Preflight, refuses_routes_by_nexthop_objects) {
  NetworkObject route;
  route.kind = NetworkObject::Kind::Route;
  route.header.resize(sizeof(rtmsg));
  route.attributes.push_back({RTA_NH_ID, std::vector<std::byte>(4)});
  facts_.objects.push_back(route);
  EXPECT_THAT(refusal(), HasSubstr("ip nexthop"));
}

TEST_F(Preflight, refuses_a_nic_with_an_address_unless_there_is_a_time_to_confirm) {
  wish_.confirm.reset();
  EXPECT_THAT(refusal(), HasSubstr("--confirm SECONDS"));
  facts_.objects = {address(RT_SCOPE_LINK)};
  EXPECT_EQ(refusal(), "none");
  for (const int wrong : {0, 4, 86401}) {
    wish_.confirm = seconds(wrong);
    EXPECT_THAT(refusal(), HasSubstr("5 to 86400 seconds"));
  }
}

TEST_F(Preflight, b12_warns_of_spanning_tree_and_gives_more_time) {
  wish_.has_stp = true;
  EXPECT_EQ(confirm_time_of(wish_), seconds(90));
  EXPECT_THAT(cautions_about(wish_, facts_), AllOf(Contains(HasSubstr("30 s")), Contains(HasSubstr("90 s"))));
  wish_.confirm = seconds(120);
  EXPECT_EQ(confirm_time_of(wish_), seconds(120));
  wish_.has_stp = false;
  wish_.confirm = seconds(60);
  EXPECT_EQ(confirm_time_of(wish_), seconds(60));
}

TEST_F(Preflight, warns_of_what_may_eat_frames_or_addresses) {
  facts_.surroundings.filters_bridged_frames = true;
  facts_.surroundings.is_reverse_path_strict = true;
  facts_.surroundings.hypervisor = "VMware, Inc.";
  facts_.objects = {address(RT_SCOPE_UNIVERSE, 3600)};
  EXPECT_EQ(refusal(), "none");
  EXPECT_THAT(cautions_about(wish_, facts_),
              AllOf(Contains(HasSubstr("bridge-nf-call-iptables")), Contains(HasSubstr("rp_filter is 1")),
                    Contains(HasSubstr("VMware")), Contains(HasSubstr("3600 s"))));
}

}  // namespace
}  // namespace culvert
