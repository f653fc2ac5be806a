// Handshakes that do not work at first.
#include <gtest/gtest.h>

#include "sim/world.hpp"

namespace culvert::sim {
namespace {

using namespace std::chrono_literals;

TEST(Retry, twenty_initiations_and_no_more) {
  World world(seed_or(1));
  world.add_host();
  world.add_host();
  world.introduce(0, 1);
  world.network.faults.loss = 1;
  world.send(0, 1);
  world.run_for(3600s);
  const auto& times = world[0].initiations;
  ASSERT_EQ(times.size(), 20U);
  for (std::size_t i = 1; i < times.size(); ++i) {
    EXPECT_GE(times[i] - times[i - 1], 5s);
    EXPECT_LE(times[i] - times[i - 1], 5s + 333ms);
  }
  EXPECT_GE(times.back() - times.front(), 90s);
  EXPECT_LE(times.back() - times.front(), 110s);
  EXPECT_EQ(world[0].events[EventKind::HandshakeUnanswered], 19U);
  EXPECT_EQ(world[0].events[EventKind::HandshakeAbandoned], 1U);
  EXPECT_EQ(world[0].engine->drops()[DropReason::StagedExpired], 1U);

  // New traffic, new attempts.
  world.network.faults.loss = 0;
  const auto number = world.send(0, 1);
  world.run_for(1s);
  EXPECT_TRUE(world.was_delivered(number));
}

TEST(Retry, gaps_differ_from_each_other) {
  World world(seed_or(1));
  world.add_host();
  world.add_host();
  world.introduce(0, 1);
  world.network.faults.loss = 1;
  world.send(0, 1);
  world.run_for(200s);
  std::map<Duration, int> gaps;
  for (std::size_t i = 1; i < 20; ++i) ++gaps[world[0].initiations.at(i) - world[0].initiations[i - 1]];
  EXPECT_GE(gaps.size(), 15U);
}

TEST(Retry, a_satellite_link_needs_no_retry) {
  World world(seed_or(1));
  world.add_host();
  world.add_host();
  world.introduce(0, 1);
  world.network.faults.delay = 300ms;
  for (int i = 0; i < 300; ++i) {
    world.send(0, 1);
    world.send(1, 0);
    world.run_for(1s);
  }
  world.run_for(1s);
  // Both begin, then one renews twice.
  EXPECT_LE(world[0].initiations.size() + world[1].initiations.size(), 4U);
  EXPECT_EQ(world.frames_delivered(), world.frames_sent());
}

TEST(Retry, half_of_all_packets_lost_is_survived) {
  std::uint64_t worst = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    World world(seed);
    world.add_host();
    world.add_host();
    world.introduce(0, 1);
    world.network.faults.loss = 0.5;
    const Timestamp start = world.clock.time();
    while (!world[1].peer(world[0]).sessions.current() && world.clock.time() < start + 300s) {
      world.send(0, 1);
      world.run_for(1s);
    }
    EXPECT_NE(world[1].peer(world[0]).sessions.current(), nullptr) << seed;
    worst = std::max(worst, world[0].initiations.size() * std::uint64_t{1});
  }
  EXPECT_LE(worst, 20U);
}

TEST(Retry, two_peers_that_start_together_agree_by_the_second_attempt) {
  constexpr int seeds = 1000;
  int agreed_by_second = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    World world(seed);
    world.add_host();
    world.add_host();
    world.introduce(0, 1);
    world.network.faults.delay = 1ms;
    const auto from_0 = world.send(0, 1);
    const auto from_1 = world.send(1, 0);
    const auto is_done = [&] { return world.was_delivered(from_0) && world.was_delivered(from_1); };
    for (int i = 0; i < 60 && !is_done(); ++i) world.run_for(1s);
    ASSERT_TRUE(is_done()) << "seed " << seed;
    const std::size_t attempts = std::max(world[0].initiations.size(), world[1].initiations.size());
    agreed_by_second += attempts <= 2 ? 1 : 0;
  }
  EXPECT_GE(agreed_by_second, seeds * 99 / 100);
}

TEST(Retry, two_peers_that_start_together_agree_over_any_distance) {
  for (const Duration delay : {Duration(0ms), Duration(20ms), Duration(100ms), Duration(300ms), Duration(2s)}) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      World world(seed);
      world.add_host();
      world.add_host();
      world.introduce(0, 1);
      world.network.faults.delay = delay;
      const auto from_0 = world.send(0, 1);
      const auto from_1 = world.send(1, 0);
      world.run_for(110s);
      EXPECT_TRUE(world.was_delivered(from_0) && world.was_delivered(from_1)) << delay.count() << " ns, seed " << seed;
    }
  }
}

}  // namespace
}  // namespace culvert::sim
