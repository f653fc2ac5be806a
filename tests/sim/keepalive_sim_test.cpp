// Silence, and what keeps a path open.
#include <gtest/gtest.h>

#include <numeric>

#include "sim/world.hpp"

namespace culvert::sim {
namespace {

using namespace std::chrono_literals;

std::uint64_t datagrams_sent(const Host& host) {
  return std::accumulate(host.sent_by_type.begin(), host.sent_by_type.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const auto& type) { return sum + type.second; });
}

class Keepalive : public testing::Test {
 protected:
  Keepalive() {
    world_.add_host();
    world_.add_host();
  }
  World world_{seed_or(1)};
};

TEST_F(Keepalive, an_hour_of_silence_after_one_packet_has_one_keepalive) {
  world_.introduce(0, 1);
  world_.send(0, 1);
  world_.run_for(1min);
  world_.send(0, 1);
  world_.run_for(1h);
  EXPECT_EQ(world_[0].keepalives_sent, 0U);
  EXPECT_EQ(world_[1].keepalives_sent, 1U);
  // An initiation, a response, the packet, a hello and its answer, which is as good as a keepalive; the second packet,
  // the keepalive.
  EXPECT_EQ(datagrams_sent(world_[0]) + datagrams_sent(world_[1]), 7U);
}

TEST_F(Keepalive, a_conversation_ends_with_at_most_one_keepalive_each) {
  world_.introduce(0, 1);
  for (int i = 0; i < 60; ++i) {
    world_.send(0, 1);
    world_.send(1, 0);
    world_.run_for(500ms);
  }
  EXPECT_EQ(world_[0].keepalives_sent + world_[1].keepalives_sent, 0U);
  world_.run_for(1h);
  EXPECT_LE(world_[0].keepalives_sent, 1U);
  EXPECT_LE(world_[1].keepalives_sent, 1U);
}

TEST_F(Keepalive, one_way_traffic_is_answered_every_ten_seconds) {
  world_.introduce(0, 1);
  for (int i = 0; i < 100; ++i) {
    world_.send(0, 1);
    world_.run_for(1s);
  }
  EXPECT_GE(world_[1].keepalives_sent, 8U);
  EXPECT_LE(world_[1].keepalives_sent, 11U);
  EXPECT_EQ(world_[0].initiations.size(), 1U);
}

TEST_F(Keepalive, a_persistent_one_comes_once_per_interval) {
  world_.introduce(0, 1, 25s);
  world_.run_for(1h);
  EXPECT_GE(world_[0].keepalives_sent, 3600U / 25 - 4);
  // One more for each handshake, which it completes.
  EXPECT_LE(world_[0].keepalives_sent, 3600U / 25 + 3600 / 120 + 1);
  EXPECT_EQ(world_[1].keepalives_sent, 0U);
}

TEST_F(Keepalive, a_persistent_one_holds_a_nat_open) {
  world_.put_behind_nat(0, 60s);
  world_.introduce(0, 1, 25s);
  for (int hour = 0; hour < 3; ++hour) {
    world_.run_for(1h);
    const auto number = world_.send(1, 0);
    world_.run_for(1s);
    EXPECT_TRUE(world_.was_delivered(number)) << hour;
  }
}

TEST_F(Keepalive, without_one_a_nat_closes_until_the_inside_speaks) {
  world_.put_behind_nat(0, 60s);
  world_.introduce(0, 1);
  world_.send(0, 1);
  world_.run_for(100s);
  const auto lost = world_.send(1, 0);
  world_.run_for(1s);
  EXPECT_FALSE(world_.was_delivered(lost));
  world_.send(0, 1);
  world_.run_for(1s);
  const auto number = world_.send(1, 0);
  world_.run_for(1s);
  EXPECT_TRUE(world_.was_delivered(number));
}

TEST_F(Keepalive, persistent_ones_find_a_peer_that_was_away_for_an_hour) {
  world_.introduce(0, 1, 25s);
  world_.run_for(60s);
  world_.network.faults.loss = 1;
  world_.run_for(1h);
  world_.network.faults.loss = 0;
  world_.run_for(40s);
  const auto number = world_.send(1, 0);
  world_.run_for(1s);
  EXPECT_TRUE(world_.was_delivered(number));
}

}  // namespace
}  // namespace culvert::sim
