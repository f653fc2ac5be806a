// One local port and many peers: what goes where, what goes nowhere, and how much may go everywhere.
#include "culvert/forwarding/ethernet_switch.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

using namespace std::chrono_literals;

constexpr SwitchPort local;
constexpr PeerId first(0);
constexpr PeerId second(1);
constexpr PeerId third(2);
constexpr MacAddress ann(0x02000000000a);
constexpr MacAddress bob(0x02000000000b);
constexpr MacAddress everybody(0xffffffffffff);
constexpr MacAddress group(0x01005e000001);
constexpr MacAddress spanning_tree(0x0180c2000000);
constexpr Timestamp start(1h);

class EthernetSwitchTest : public testing::Test {
 protected:
  EthernetSwitchTest() {
    for (const PeerId peer : {first, second, third}) ethernet.add_port(peer);
  }
  Verdict<EthernetSwitch::Decision> decide(SwitchPort from, MacAddress source, MacAddress destination,
                                           std::uint16_t vlan = 0, Timestamp now = start) {
    return ethernet.decide(from, {.destination = destination, .source = source, .vlan = vlan}, now);
  }
  bool floods(SwitchPort from, MacAddress source, MacAddress destination) {
    const auto decision = decide(from, source, destination);
    return decision && decision->is_flood;
  }
  EthernetSwitch ethernet{{1, 2}};
};

TEST_F(EthernetSwitchTest, floods_what_is_for_an_unknown_station_and_sends_the_reply_direct) {
  EXPECT_TRUE(floods(local, ann, bob));
  const auto reply = decide(second, bob, ann);
  ASSERT_TRUE(reply);
  EXPECT_FALSE(reply->is_flood);
  EXPECT_EQ(reply->to, local);
  const auto next = decide(local, ann, bob);
  ASSERT_TRUE(next);
  EXPECT_FALSE(next->is_flood);
  EXPECT_EQ(next->to, SwitchPort(second));
}

TEST_F(EthernetSwitchTest, floods_broadcast_and_multicast_whoever_is_known) {
  EXPECT_TRUE(floods(local, ann, everybody));
  EXPECT_TRUE(floods(first, bob, everybody));
  EXPECT_TRUE(floods(first, bob, group));
}

TEST_F(EthernetSwitchTest, floods_to_every_port_but_the_one_it_came_from) {
  for (const PeerId peer : {first, second, third}) EXPECT_TRUE(ethernet.floods(local, peer));
  EXPECT_FALSE(ethernet.floods(first, first));
  EXPECT_TRUE(ethernet.floods(first, second));
  EXPECT_TRUE(ethernet.floods(first, third));
}

TEST_F(EthernetSwitchTest, sends_nothing_back_where_it_came_from) {
  EXPECT_TRUE(decide(first, ann, everybody));
  EXPECT_EQ(decide(first, bob, ann).error(), DropReason::SamePort);
  EXPECT_TRUE(decide(local, MacAddress(0x020000000001), everybody));
  EXPECT_EQ(decide(local, MacAddress(0x020000000002), MacAddress(0x020000000001)).error(), DropReason::SamePort);
}

TEST_F(EthernetSwitchTest, keeps_vlans_apart) {
  EXPECT_TRUE(decide(first, ann, everybody, 10));
  const auto other = decide(local, bob, ann, 20);
  ASSERT_TRUE(other);
  EXPECT_TRUE(other->is_flood);
  const auto same = decide(local, bob, ann, 10);
  ASSERT_TRUE(same);
  EXPECT_EQ(same->to, SwitchPort(first));
}

TEST_F(EthernetSwitchTest, relays_between_peers_unless_told_not_to) {
  EXPECT_TRUE(decide(first, ann, everybody));
  const auto relayed = decide(second, bob, ann);
  ASSERT_TRUE(relayed);
  EXPECT_EQ(relayed->to, SwitchPort(first));

  ethernet.set({.relay = false});
  EXPECT_EQ(decide(second, bob, ann).error(), DropReason::NotRelayed);
  EXPECT_FALSE(ethernet.floods(first, second));
  EXPECT_TRUE(ethernet.floods(local, second));
  EXPECT_TRUE(floods(second, bob, everybody));
}

TEST_F(EthernetSwitchTest, filters_link_local_control_frames_unless_asked_for_them) {
  EXPECT_EQ(decide(local, ann, spanning_tree).error(), DropReason::LinkLocalGroup);
  EXPECT_EQ(decide(first, bob, MacAddress(0x0180c200000f)).error(), DropReason::LinkLocalGroup);
  EXPECT_TRUE(floods(first, bob, MacAddress(0x0180c2000010)));
  ethernet.set({.link_local_frames = true});
  EXPECT_TRUE(floods(local, ann, spanning_tree));
}

TEST_F(EthernetSwitchTest, refuses_a_peer_that_uses_a_local_stations_address_and_learns_nothing_of_it) {
  EXPECT_TRUE(decide(local, ann, everybody));
  EXPECT_EQ(decide(first, ann, everybody).error(), DropReason::LocalAddress);
  const auto to_ann = decide(second, bob, ann);
  ASSERT_TRUE(to_ann);
  EXPECT_EQ(to_ann->to, local);
}

TEST_F(EthernetSwitchTest, knows_the_local_devices_own_address_before_it_speaks) {
  ethernet.set_own_address(ann);
  EXPECT_EQ(decide(first, ann, everybody).error(), DropReason::LocalAddress);
  EXPECT_EQ(decide(first, ann, everybody, 7).error(), DropReason::LocalAddress);
  const auto to_ann = decide(second, bob, ann);
  ASSERT_TRUE(to_ann);
  EXPECT_FALSE(to_ann->is_flood);
  EXPECT_EQ(to_ann->to, local);
  EXPECT_EQ(decide(local, MacAddress(0x020000000001), ann).error(), DropReason::SamePort);
  EXPECT_TRUE(decide(local, ann, everybody));
  // Another address in its place.
  ethernet.set_own_address(MacAddress(0x020000000009));
  ethernet.forget_stations();
  EXPECT_TRUE(decide(first, ann, everybody));
}

TEST_F(EthernetSwitchTest, refuses_groups_and_nobody_as_source) {
  EXPECT_EQ(decide(first, group, bob).error(), DropReason::SourceAddress);
  EXPECT_EQ(decide(local, MacAddress(), bob).error(), DropReason::SourceAddress);
}

TEST_F(EthernetSwitchTest, lets_a_peer_flood_a_thousand_frames_in_any_second_and_no_more) {
  unsigned allowed = 0;
  for (int millisecond = 0; millisecond < 1000; ++millisecond) {
    for (int i = 0; i < 10; ++i) {
      const auto decision = decide(first, bob, everybody, 0, start + std::chrono::milliseconds(millisecond));
      if (!decision) {
        EXPECT_EQ(decision.error(), DropReason::FloodLimit);
      }
      allowed += decision.has_value();
    }
  }
  EXPECT_LE(allowed, 1000U);
  EXPECT_GE(allowed, 990U);
  // The others, the local side, and what has one destination are not concerned.
  EXPECT_TRUE(decide(second, ann, everybody, 0, start + 999ms));
  EXPECT_TRUE(decide(local, MacAddress(0x020000000001), everybody, 0, start + 999ms));
  EXPECT_TRUE(decide(first, bob, ann, 0, start + 999ms));
  // After a pause it may flood again.
  EXPECT_TRUE(decide(first, bob, everybody, 0, start + 2s));
}

TEST_F(EthernetSwitchTest, neither_takes_from_a_blocked_port_nor_gives_to_it) {
  EXPECT_TRUE(decide(first, ann, everybody));
  ethernet.set_blocked(first, true);
  EXPECT_TRUE(ethernet.is_blocked(first));
  EXPECT_EQ(decide(first, ann, everybody).error(), DropReason::PortBlocked);
  EXPECT_FALSE(ethernet.floods(local, first));
  // What was behind it may be behind another.
  EXPECT_TRUE(floods(local, bob, ann));
  ethernet.set_blocked(first, false);
  EXPECT_TRUE(decide(first, ann, everybody));
  EXPECT_TRUE(ethernet.floods(local, first));
}

TEST_F(EthernetSwitchTest, lets_probes_through_a_storm_and_bounds_them_apart) {
  while (decide(first, bob, everybody)) {
  }
  unsigned probes = 0;
  while (ethernet.admit_probe(first, start)) ++probes;
  EXPECT_EQ(probes, EthernetSwitch::probes_burst);
  EXPECT_EQ(ethernet.admit_probe(first, start).error(), DropReason::FloodLimit);
  EXPECT_TRUE(ethernet.admit_probe(second, start));
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(ethernet.admit_probe(local, start));
  ethernet.set_blocked(second, true);
  EXPECT_EQ(ethernet.admit_probe(second, start).error(), DropReason::PortBlocked);
}

TEST_F(EthernetSwitchTest, forgets_the_stations_of_a_peer_that_goes) {
  EXPECT_TRUE(decide(first, ann, everybody));
  ethernet.set_blocked(second, true);
  ethernet.remove_port(first);
  ethernet.remove_port(second);
  EXPECT_TRUE(floods(local, bob, ann));
  EXPECT_FALSE(ethernet.is_blocked(second));
  EXPECT_EQ(ethernet.table().size(), 1U);
}

}  // namespace
}  // namespace culvert
