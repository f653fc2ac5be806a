// What is told about interfaces and ports, compared with what `ip` and `bridge` made.
#include <gmock/gmock.h>
#include <net/if.h>

#include <algorithm>

#include "culvert/io/netlink.hpp"
#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;
using ::testing::IsEmpty;

TEST(NetlinkInterfaces, are_told_with_all_that_belongs_to_them) {
  in_own_namespace([] {
    output_of("ip link add v0 mtu 1400 address 02:00:00:00:00:07 type veth peer name v1");
    output_of("ip link add br0 type bridge && ip link set v1 master br0 up && ip tuntap add t0 mode tun");
    Netlink netlink;
    const auto v0 = netlink.find_interface("v0");
    ASSERT_TRUE(v0);
    EXPECT_EQ(v0->name, (LinkName{::if_nametoindex("v0"), "v0"}));
    EXPECT_EQ(v0->mtu, 1400U);
    EXPECT_EQ(v0->kind, "veth");
    EXPECT_EQ(v0->mac.to_string(), "02:00:00:00:00:07");
    EXPECT_EQ(v0->other, ::if_nametoindex("v1"));
    EXPECT_FALSE(v0->other_namespace);
    EXPECT_FALSE(v0->is_up);
    EXPECT_TRUE(v0->carries_ethernet);
    EXPECT_EQ(v0->state, "down");
    const auto v1 = netlink.find_interface("v1");
    ASSERT_TRUE(v1);
    EXPECT_TRUE(v1->is_up);
    EXPECT_EQ(v1->master, ::if_nametoindex("br0"));
    const auto t0 = netlink.find_interface("t0");
    ASSERT_TRUE(t0);
    EXPECT_FALSE(t0->carries_ethernet);
    EXPECT_TRUE(t0->mac.is_zero());
    const auto lo = netlink.find_interface("lo");
    ASSERT_TRUE(lo);
    EXPECT_TRUE(lo->is_loopback);
    EXPECT_EQ(lo->kind, "");
    EXPECT_EQ(netlink.interfaces().size(), 5U);
  });
}

TEST(NetlinkInterfaces, that_are_not_there_are_not_found) {
  in_own_namespace([] {
    Netlink netlink;
    for (const char* name : {"none", "", "a name of seventeen"}) EXPECT_FALSE(netlink.find_interface(name)) << name;
  });
}

TEST(NetlinkInterfaces, ports_of_bridges_are_told_without_the_bridges_themselves) {
  in_own_namespace([] {
    output_of("ip link add br0 type bridge && ip link set br0 up && ip link add alone type veth peer name p1");
    Netlink netlink;
    EXPECT_THAT(netlink.bridge_ports(), IsEmpty());
    output_of("ip link set p1 master br0 up && ip link set alone up");
    output_of("ip link set p1 type bridge_slave cost 7 priority 3");
    const auto ports = netlink.bridge_ports();
    ASSERT_EQ(ports.size(), 1U);
    EXPECT_EQ(ports[0].index, ::if_nametoindex("p1"));
    EXPECT_EQ(ports[0].bridge, ::if_nametoindex("br0"));
    EXPECT_EQ(word_for(ports[0].state), "forwarding");
    EXPECT_EQ(ports[0].cost, 7U);
    EXPECT_EQ(ports[0].priority, 3U);
  });
}

TEST(NetlinkInterfaces, states_of_ports_have_the_words_that_bridge_has) {
  using State = BridgePort::State;
  EXPECT_EQ(word_for(State::Disabled), "disabled");
  EXPECT_EQ(word_for(State::Listening), "listening");
  EXPECT_EQ(word_for(State::Learning), "learning");
  EXPECT_EQ(word_for(State::Forwarding), "forwarding");
  EXPECT_EQ(word_for(State::Blocking), "blocking");
}

}  // namespace
}  // namespace culvert
