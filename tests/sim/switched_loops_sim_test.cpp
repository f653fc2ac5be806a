// Switches in loops: whatever the shape, one way is left, and a storm stays within its bounds.
#include <gtest/gtest.h>

#include <set>

#include "support/ethernet_frames.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

/// Switches whose local ports may be on one LAN, as bridges join them.
class BridgedLans {
 public:
  explicit BridgedLans(std::size_t count, std::uint64_t seed) : lan(count, seed), groups_(count) {
    for (std::size_t i = 0; i < count; ++i) groups_[i] = i;
  }
  void bridge(std::size_t a, std::size_t b) { groups_[b] = groups_[a]; }
  void separate(std::size_t a) { groups_[a] = groups_.size() + a; }

  /// A station on the LAN of `node` sends `frame`. Returns how many copies came out on each of the other LANs.
  std::multiset<std::size_t> send(std::size_t node, const Bytes& frame) {
    arrived_.clear();
    enter(groups_[node], nullptr, frame);
    run();
    return arrived_;
  }
  void advance(Timestamp::duration by) {
    lan.advance(by);
    run();
  }
  /// What is blocked, as (who, whom).
  std::set<std::pair<std::size_t, std::size_t>> blocked() {
    std::set<std::pair<std::size_t, std::size_t>> result;
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      for (std::size_t j = 0; j < groups_.size(); ++j) {
        const Peer* peer = lan[i].engine.find_peer(lan[j].public_key);
        if (i != j && peer && lan[i].engine.ethernet()->is_blocked(peer->id)) result.emplace(i, j);
      }
    }
    return result;
  }
  /// Speaks on each LAN, every 100 ms.
  void live(Timestamp::duration time) {
    for (Timestamp::duration passed{}; passed < time; passed += 100ms) {
      advance(100ms);
      for (std::size_t i = 0; i < groups_.size(); ++i) {
        if (groups_[i] == i)
          send(i, FrameBuilder{.destination = everybody, .source = SwitchedLan::station(i, 1)}.frame());
      }
    }
  }

  SwitchedLan lan;

 private:
  void enter(std::size_t group, const EngineNode* except, const Bytes& frame) {
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      if (groups_[i] == group && &lan[i] != except) lan[i].engine.on_frame(frame, lan.now, lan[i].out);
    }
  }
  void run() {
    for (bool is_over = false; !is_over;) {
      is_over = lan.exchange() == 0;
      for (std::size_t i = 0; i < groups_.size(); ++i) {
        for (const Bytes& frame : lan[i].frames.take()) {
          is_over = false;
          if (LoopGuard::read(frame) == nullptr) arrived_.insert(groups_[i]);
          enter(groups_[i], &lan[i], frame);
        }
      }
    }
  }

  std::vector<std::size_t> groups_;
  std::multiset<std::size_t> arrived_;
};

Bytes broadcast_of(std::size_t node) {
  return FrameBuilder{.destination = everybody, .source = SwitchedLan::station(node, 1)}.frame();
}

TEST(SwitchedLoops, of_two_tunnels_between_two_lans_one_goes_on) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    BridgedLans world(4, seed);
    world.lan.connect(0, 2);
    world.lan.connect(1, 3);
    world.lan.settle();
    world.bridge(0, 1);
    world.bridge(2, 3);
    world.live(1s);
    ASSERT_EQ(world.blocked().size(), 1U);
    const auto before = world.blocked();
    EXPECT_EQ(world.send(0, broadcast_of(0)), (std::multiset<std::size_t>{2}));
    EXPECT_EQ(world.send(2, broadcast_of(2)), (std::multiset<std::size_t>{0}));
    world.live(60s);
    EXPECT_EQ(world.blocked(), before) << "as long as the loop is there";

    world.separate(1);
    world.live(30s);
    EXPECT_TRUE(world.blocked().empty());
    // Also for those who came by the other way, and were local here, while there was one. 5 is the LAN that 1 is left
    // on.
    EXPECT_EQ(world.send(0, broadcast_of(0)), (std::multiset<std::size_t>{2, 5}));
    EXPECT_EQ(world.send(2, broadcast_of(2)), (std::multiset<std::size_t>{0, 5}));
  }
}

TEST(SwitchedLoops, of_two_peers_on_one_lan_one_is_blocked_and_who_is_not_in_the_loop_is_left_alone) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    BridgedLans world(4, seed);
    for (const std::size_t spoke : {1U, 2U, 3U}) world.lan.connect(spoke, 0);
    world.lan.settle();
    world.bridge(1, 2);
    world.live(1s);
    ASSERT_EQ(world.blocked().size(), 1U);
    const auto [who, whom] = *world.blocked().begin();
    EXPECT_NE(who, 3U);
    EXPECT_NE(whom, 3U);
    EXPECT_EQ(world.send(3, broadcast_of(3)), (std::multiset<std::size_t>{0, 1}));
    EXPECT_EQ(world.send(1, broadcast_of(1)), (std::multiset<std::size_t>{0, 3}));
  }
}

TEST(SwitchedLoops, a_full_mesh_without_relay_has_none) {
  BridgedLans world(4, 1);
  for (std::size_t a = 0; a < 4; ++a) {
    for (std::size_t b = 0; b < a; ++b) world.lan.connect(a, b);
  }
  for (std::size_t a = 0; a < 4; ++a) world.lan[a].engine.set_switching({.relay = false});
  world.lan.settle();
  world.live(5s);
  EXPECT_TRUE(world.blocked().empty());
  EXPECT_EQ(world.send(0, broadcast_of(0)), (std::multiset<std::size_t>{1, 2, 3}));
}

TEST(SwitchedLoops, a_full_mesh_with_relay_comes_down_to_a_tree) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    BridgedLans world(3, seed);
    world.lan.connect(0, 1);
    world.lan.connect(1, 2);
    world.lan.connect(2, 0);
    world.lan.settle();
    world.live(2s);
    EXPECT_EQ(world.blocked().size(), 1U);
    EXPECT_EQ(world.send(0, broadcast_of(0)), (std::multiset<std::size_t>{1, 2}));
  }
}

TEST(SwitchedLoops, a_quiet_lan_is_not_probed) {
  SwitchedLan lan(2);
  lan.connect(0, 1);
  lan.settle();
  lan.advance(20s);
  lan.advance(20s);
  EXPECT_EQ(lan.exchange(), 0U);
  // A known station is reached by one datagram.
  lan[0].engine.on_frame(
      FrameBuilder{.destination = SwitchedLan::station(1), .source = SwitchedLan::station(0)}.frame(), lan.now,
      lan[0].out);
  EXPECT_EQ(lan[0].out.sent.size(), 1U);
  // A flooded one brings a probe, and the next a moment later does not.
  for (const std::size_t datagrams : {2U, 1U}) {
    lan[0].out.take();
    lan[0].engine.on_frame(broadcast_of(0), lan.now, lan[0].out);
    EXPECT_EQ(lan[0].out.sent.size(), datagrams);
  }
}

TEST(SwitchedLoops, a_storm_stays_below_a_thousand_frames_a_second) {
  BridgedLans world(4, 3);
  world.lan.connect(0, 2);
  world.lan.connect(1, 3);
  world.lan.settle();
  world.bridge(0, 1);
  world.bridge(2, 3);
  std::size_t arrived = 0;
  for (int i = 0; i < 100; ++i) {
    world.advance(10ms);
    // Random stations: nobody can tell that a frame has been here before.
    for (int j = 0; j < 100; ++j) {
      const auto number = static_cast<std::uint64_t>(i * 100 + j);
      const auto seen =
          world.send(0, FrameBuilder{.destination = everybody, .source = SwitchedLan::station(9, number)}.frame());
      arrived += seen.count(2);
    }
  }
  EXPECT_LE(arrived, 2000U) << "through each of the tunnels";
}

}  // namespace
}  // namespace culvert
