// Probes for loops: when they leave, what their return means, and who of several gives up a port.
#include "culvert/engine/loop_guard.hpp"

#include <gtest/gtest.h>

#include "support/crypto_ready.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

constexpr SwitchPort local;
constexpr PeerId first(0);
constexpr PeerId second(1);
constexpr Timestamp start(1h);

struct Guard : LoopGuard {
  explicit Guard(std::uint64_t seed) : Guard(std::make_unique<SeededRandom>(seed)) {}
  explicit Guard(std::unique_ptr<SeededRandom> random) : LoopGuard(*random) {
    add_port(first);
    add_port(second);
  }
  /// What leaves by `port` comes back by `from`.
  void goes_round(PeerId port, SwitchPort from, Timestamp now) {
    EXPECT_EQ(arrived(probe_for(port), from, now), Origin::Own);
  }
  std::optional<PeerId> blocks(Timestamp now) {
    const auto change = take_change(now);
    return change && change->is_blocked ? std::optional(change->port) : std::nullopt;
  }
  std::optional<PeerId> opens(Timestamp now) {
    const auto change = take_change(now);
    return change && !change->is_blocked ? std::optional(change->port) : std::nullopt;
  }
};

TEST(LoopGuard, probes_each_half_second_at_least_while_asked_to) {
  Guard guard(1);
  unsigned probes = 0;
  for (int i = 0; i < 1000; ++i) probes += guard.take_due(start + std::chrono::milliseconds(i));
  EXPECT_GE(probes, 2U);
  EXPECT_LE(probes, 4U);
}

TEST(LoopGuard, recognizes_a_probe_and_whose_it_is) {
  Guard guard(1);
  Guard other(2);
  ASSERT_TRUE(guard.take_due(start));
  const WireLoopProbe probe = guard.probe_for(first);
  const WireLoopProbe* read = LoopGuard::read(bytes_of(probe));
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(other.arrived(*read, first, start), LoopGuard::Origin::Other);
  EXPECT_EQ(guard.arrived(*read, second, start), LoopGuard::Origin::Own);
  EXPECT_EQ(LoopGuard::read(bytes_of(probe).first(59)), nullptr);
  for (const std::size_t place : {0U, 12U, 14U}) {
    WireLoopProbe changed = probe;
    std::as_writable_bytes(std::span(&changed, 1))[place] ^= std::byte{2};
    EXPECT_EQ(LoopGuard::read(bytes_of(changed)), nullptr) << place;
  }
}

TEST(LoopGuard, blocks_the_peer_whose_probe_came_back_by_the_local_port_within_a_second) {
  Guard guard(1);
  ASSERT_TRUE(guard.take_due(start));
  guard.goes_round(first, local, start);
  ASSERT_TRUE(guard.deadline());
  EXPECT_EQ(guard.deadline()->port, first);
  EXPECT_LE(guard.deadline()->time - start + limits::loop_probe_interval, 1s);
  EXPECT_EQ(guard.blocks(start), std::nullopt);
  EXPECT_EQ(guard.blocks(guard.deadline()->time), first);
  EXPECT_EQ(guard.blocks(start + 1s), std::nullopt) << "once";
}

TEST(LoopGuard, blocks_the_later_of_two_peers_whichever_way_the_probe_went) {
  for (const auto& [left_by, back_by] : {std::pair{first, second}, {second, first}}) {
    Guard guard(1);
    ASSERT_TRUE(guard.take_due(start));
    guard.goes_round(left_by, back_by, start);
    EXPECT_EQ(guard.blocks(start + 1s), second);
  }
}

TEST(LoopGuard, does_nothing_about_a_loop_behind_a_port) {
  Guard guard(1);
  ASSERT_TRUE(guard.take_due(start));
  guard.goes_round(first, first, start);
  EXPECT_FALSE(guard.deadline());
  EXPECT_EQ(guard.blocks(start + 10s), std::nullopt);
}

TEST(LoopGuard, believes_no_probe_that_was_changed_recorded_or_made_up) {
  Guard guard(1);
  ASSERT_TRUE(guard.take_due(start));
  const WireLoopProbe probe = guard.probe_for(first);
  WireLoopProbe forged = probe;
  forged.port = 1;
  EXPECT_EQ(guard.arrived(forged, first, start), LoopGuard::Origin::Own);
  forged = probe;
  forged.port = 77;
  EXPECT_EQ(guard.arrived(forged, local, start), LoopGuard::Origin::Own);
  forged = probe;
  forged.token[3] ^= std::byte{1};
  EXPECT_EQ(guard.arrived(forged, local, start), LoopGuard::Origin::Own);
  Timestamp now = start;
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(guard.take_due(now += 250ms));
  EXPECT_EQ(guard.arrived(probe, local, now), LoopGuard::Origin::Own);
  EXPECT_FALSE(guard.deadline());
}

TEST(LoopGuard, leaves_the_decision_to_the_smallest_of_those_in_the_loop) {
  Guard one(1);
  Guard other(2);
  Guard& small = one.instance() < other.instance() ? one : other;
  Guard& large = one.instance() < other.instance() ? other : one;
  for (Guard* guard : {&small, &large}) {
    ASSERT_TRUE(guard->take_due(start));
    guard->goes_round(first, local, start);
  }
  // What leaves now says that a loop was seen.
  ASSERT_TRUE(small.take_due(start + 60ms));
  ASSERT_TRUE(large.take_due(start + 60ms));
  EXPECT_EQ(large.arrived(small.probe_for(first), local, start + 60ms), LoopGuard::Origin::Other);
  EXPECT_EQ(small.arrived(large.probe_for(first), local, start + 60ms), LoopGuard::Origin::Other);
  EXPECT_EQ(large.blocks(start + 1s), std::nullopt);
  EXPECT_EQ(small.blocks(start + 1s), first);
}

TEST(LoopGuard, does_not_wait_for_ever_for_who_says_that_he_will_decide) {
  Guard one(1);
  Guard other(2);
  Guard& small = one.instance() < other.instance() ? one : other;
  Guard& large = one.instance() < other.instance() ? other : one;
  ASSERT_TRUE(small.take_due(start));
  small.goes_round(first, local, start);
  Timestamp now = start;
  std::optional<PeerId> blocked;
  while (!blocked && now < start + 10s) {
    now += 100ms;
    if (large.take_due(now)) large.goes_round(first, local, now);
    (void)large.arrived(small.probe_for(first), local, now);
    blocked = large.blocks(now);
  }
  EXPECT_EQ(blocked, first);
  EXPECT_GE(now - start, limits::loop_patience);
  EXPECT_LE(now - start, 2 * limits::loop_patience);
}

TEST(LoopGuard, a_probe_that_says_nothing_of_a_loop_hinders_nobody) {
  Guard one(1);
  Guard other(2);
  Guard& small = one.instance() < other.instance() ? one : other;
  Guard& large = one.instance() < other.instance() ? other : one;
  ASSERT_TRUE(small.take_due(start));
  ASSERT_TRUE(large.take_due(start));
  (void)large.arrived(small.probe_for(first), second, start);
  large.goes_round(first, local, start);
  EXPECT_EQ(large.blocks(start + 1s), first);
}

TEST(LoopGuard, opens_a_port_when_probes_stay_away_for_a_while) {
  Guard guard(1);
  ASSERT_TRUE(guard.take_due(start));
  guard.goes_round(first, local, start);
  ASSERT_EQ(guard.blocks(start + 1s), first);
  Timestamp now = start + 1s;
  // As long as they come back it stays blocked.
  for (int i = 0; i < 400; ++i) {
    now += 250ms;
    ASSERT_TRUE(guard.take_due(now));
    guard.goes_round(first, local, now);
    ASSERT_EQ(guard.opens(now), std::nullopt);
  }
  // Silence alone proves nothing.
  now += 100s;
  EXPECT_EQ(guard.opens(now), std::nullopt);
  unsigned rounds = 0;
  while (!guard.opens(now) && rounds < 100) {
    now += 250ms;
    rounds += guard.take_due(now);
  }
  EXPECT_EQ(rounds, limits::loop_probes_lost_min);
  // And it begins anew when they come back after all.
  guard.goes_round(first, local, now);
  EXPECT_EQ(guard.blocks(now + 1s), first);
}

TEST(LoopGuard, holds_a_port_for_ten_seconds_at_least) {
  Guard guard(1);
  ASSERT_TRUE(guard.take_due(start));
  guard.goes_round(first, local, start);
  ASSERT_EQ(guard.blocks(start + 1s), first);
  Timestamp now = start;
  while (!guard.opens(now) && now < start + 60s) {
    now += 250ms;
    (void)guard.take_due(now);
  }
  EXPECT_GE(now - start, 10s);
  EXPECT_LE(now - start, 16s);
}

TEST(LoopGuard, has_everything_forgotten_that_was_learned_while_frames_went_round) {
  Guard guard(1);
  EXPECT_FALSE(guard.take_doubt(start));
  ASSERT_TRUE(guard.take_due(start));
  guard.goes_round(first, local, start);
  guard.goes_round(first, local, start + 100ms);
  EXPECT_FALSE(guard.take_doubt(start + 750ms));
  // Also if somebody else broke the loop.
  EXPECT_TRUE(guard.take_doubt(start + 800ms));
  EXPECT_FALSE(guard.take_doubt(start + 900ms)) << "once";
  ASSERT_EQ(guard.blocks(start + 900ms), first);
  ASSERT_TRUE(guard.take_due(start + 1s));
  guard.goes_round(first, local, start + 1s);
  EXPECT_FALSE(guard.take_doubt(start + 10s)) << "through a blocked port nothing else goes round";
}

TEST(LoopGuard, knows_nothing_of_a_removed_peer) {
  Guard guard(1);
  ASSERT_TRUE(guard.take_due(start));
  guard.goes_round(first, local, start);
  guard.remove_port(first);
  EXPECT_FALSE(guard.deadline());
  EXPECT_FALSE(guard.take_doubt(start + 10s));
  EXPECT_EQ(guard.take_change(start + 1s).has_value(), false);
}

}  // namespace
}  // namespace culvert
