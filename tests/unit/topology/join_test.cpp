// What is joined to what, from what each namespace says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenes.hpp"

namespace culvert::topology::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(Join, finds_a_pair_between_namespaces_once) {
  Scene scene;
  const std::size_t one = scene.space("one");
  const std::size_t two = scene.space("two");
  scene.veth(one, "a", 0, two, "b", {});
  const Topology topology = scene.joined();
  EXPECT_THAT(topology.edges, ElementsAre(Edge{EdgeKind::Veth, {one, 2}, {two, 2}}));
  EXPECT_EQ(topology.find({one, 2})->lower_at, (Place{two, 2}));
  EXPECT_EQ(topology.find({two, 2})->lower_at, (Place{one, 2}));
}

TEST(Join, finds_a_pair_within_a_namespace) {
  Scene scene;
  const std::size_t one = scene.space("one");
  scene.veth(one, "a", 0, one, "b", {});
  EXPECT_THAT(scene.joined().edges, ElementsAre(Edge{EdgeKind::Veth, {one, 2}, {one, 3}}));
}

TEST(Join, does_not_believe_one_end_that_the_other_one_contradicts) {
  Scene scene;
  const std::size_t one = scene.space("one");
  const std::size_t two = scene.space("two");
  const std::size_t three = scene.space("three");
  scene.veth(one, "a", 0, two, "b", {});
  scene.link(three, "c", "veth");
  scene.lower({three, 2}, {two, 2});
  const Topology topology = scene.joined();
  EXPECT_THAT(topology.edges, ElementsAre(Edge{EdgeKind::Veth, {one, 2}, {two, 2}}));
  EXPECT_EQ(topology.find({three, 2})->lower_at, std::nullopt);
}

TEST(Join, does_not_take_a_link_of_another_kind_for_the_other_end) {
  Scene scene;
  const std::size_t one = scene.space("one");
  const std::size_t two = scene.space("two");
  scene.veth(one, "a", 0, two, "b", {});
  scene.at(two).links.back().kind = "dummy";
  EXPECT_THAT(scene.joined().edges, Not(Contains(Edge{EdgeKind::Veth, {one, 2}, {two, 2}})));
}

TEST(Join, believes_one_side_when_the_other_has_no_number_for_it) {
  Scene scene;
  const std::size_t one = scene.space("one");
  const std::size_t two = scene.space("two");
  scene.veth(one, "a", 0, two, "b", {});
  scene.at(one).ids.clear();
  const Topology topology = scene.joined();
  EXPECT_THAT(topology.edges, ElementsAre(Edge{EdgeKind::Veth, {one, 2}, {two, 2}}));
  EXPECT_EQ(topology.find({one, 2})->lower_at, (Place{two, 2}));
}

TEST(Join, leaves_open_what_nobody_tells) {
  Scene scene;
  const std::size_t one = scene.space("one");
  const std::size_t two = scene.space("two");
  scene.veth(one, "a", 0, two, "b", {});
  scene.at(one).ids.clear();
  scene.at(two).ids.clear();
  const Topology topology = scene.joined();
  EXPECT_THAT(topology.edges, IsEmpty());
  EXPECT_EQ(label_of_lower(topology, one, *topology.find({one, 2})), "link 2 in a namespace that was not found");
}

TEST(Join, joins_with_a_link_that_could_not_be_looked_at) {
  Scene scene;
  const std::size_t one = scene.space("one");
  const std::size_t two = scene.space("two");
  scene.link(one, "a", "veth");
  scene.lower({one, 2}, {two, 5});
  scene.at(two).links.clear();
  scene.at(two).problem = "closed";
  const Topology topology = scene.joined();
  EXPECT_THAT(topology.edges, ElementsAre(Edge{EdgeKind::Veth, {one, 2}, {two, 5}}));
  EXPECT_EQ(label_of_lower(topology, one, *topology.find({one, 2})), "link 5 in two");
}

TEST(Join, leaves_open_a_link_that_vanished_while_it_was_looked_for) {
  Scene scene;
  const std::size_t one = scene.space("one");
  const std::size_t two = scene.space("two");
  scene.link(one, "a", "veth");
  scene.lower({one, 2}, {two, 5});
  EXPECT_THAT(scene.joined().edges, IsEmpty());
}

TEST(Join, tells_ports_and_what_links_are_made_on) {
  Scene scene;
  const std::size_t one = scene.space("one");
  const std::size_t two = scene.space("two");
  const std::uint32_t nic = scene.link(one, "eth0", "physical").index;
  const std::uint32_t bridge = scene.link(one, "br0", "bridge").index;
  const std::uint32_t port = scene.port(one, bridge, "tap0", "tap").index;
  const std::uint32_t vlan = scene.link(one, "eth0.5", "vlan").index;
  scene.lower({one, vlan}, {one, nic});
  const std::uint32_t macvlan = scene.link(two, "mac0", "macvlan").index;
  scene.lower({two, macvlan}, {one, nic});
  const Topology topology = scene.joined();
  EXPECT_THAT(topology.edges, ElementsAre(Edge{EdgeKind::Parent, {one, vlan}, {one, nic}},
                                          Edge{EdgeKind::Parent, {two, macvlan}, {one, nic}},
                                          Edge{EdgeKind::Port, {one, port}, {one, bridge}}));
  EXPECT_EQ(label_of_lower(topology, two, *topology.find({two, macvlan})), "eth0 in one");
  EXPECT_EQ(label_of_lower(topology, one, *topology.find({one, vlan})), "eth0");
}

TEST(Join, joins_tunnels_that_are_each_others_peers_once_and_with_the_namespace_of_their_socket) {
  Scene scene;
  const std::size_t one = scene.space("one");
  const std::size_t two = scene.space("two");
  scene.link(one, "wg0", "tun");
  scene.link(two, "wg0", "tun");
  scene.tunnel({one, 2}, "ONE", two);
  scene.tunnel({two, 2}, "TWO", two);
  scene.peer({one, 2}, "two", "TWO", "");
  scene.peer({two, 2}, "one", "ONE", "");
  scene.peer({two, 2}, "stranger", "XXX", "");
  const Topology topology = scene.joined();
  EXPECT_THAT(topology.edges,
              ElementsAre(Edge{EdgeKind::Peer, {one, 2}, {two, 2}}, Edge{EdgeKind::Socket, {one, 2}, {two, 0}}));
  EXPECT_EQ(topology.find({one, 2})->tunnel->peers[0].device, (Place{two, 2}));
  EXPECT_EQ(topology.find({two, 2})->tunnel->peers[1].device, std::nullopt);
}

TEST(Labels, call_a_namespace_by_the_best_there_is) {
  Namespace space;
  space.inode = 17;
  EXPECT_EQ(label_of(space), "net:[17]");
  space.keepers = {{5, "keeper"}};
  EXPECT_EQ(label_of(space), "kept by keeper (5)");
  space.processes = {{7, "sle\nep"}};
  EXPECT_EQ(label_of(space), "sle\\x0aep (7)");
  space.foreign_pins = {{"/run/netns/x", {9, "lab"}}};
  EXPECT_EQ(label_of(space), "/run/netns/x of lab (9)");
  space.is_own = true;
  EXPECT_EQ(label_of(space), "your namespace");
  space.pins = {"/a/pin"};
  EXPECT_EQ(label_of(space), "/a/pin");
  space.names = {"blue"};
  EXPECT_EQ(label_of(space), "blue");
}

TEST(Labels, tell_an_age_in_the_unit_that_people_would_take) {
  EXPECT_EQ(age_text(119), "119 s ago");
  EXPECT_EQ(age_text(120), "2 min ago");
  EXPECT_EQ(age_text(7200), "2 h ago");
  EXPECT_EQ(age_text(172800), "2 days ago");
}

}  // namespace
}  // namespace culvert::topology::test
