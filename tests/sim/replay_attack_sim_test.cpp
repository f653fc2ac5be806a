// An attacker that records everything and plays it back, and clocks that are wrong.
#include <gtest/gtest.h>

#include "sim/world.hpp"

namespace culvert::sim {
namespace {

using namespace std::chrono_literals;

class ReplayAttack : public testing::Test {
 protected:
  ReplayAttack() {
    world_.add_host();
    world_.add_host();
    world_.introduce(0, 1);
    world_.on_wire = [this](const Host& from, const Endpoint&, const SentDatagram& datagram) {
      seen_.emplace_back(from.id, datagram.bytes);
    };
  }
  /// 0 speaks first, then both, each second.
  void talk(int seconds) {
    world_.send(0, 1);
    world_.run_for(100ms);
    for (int i = 0; i < seconds; ++i) {
      world_.send(0, 1);
      world_.send(1, 0);
      world_.run_for(1s);
    }
  }

  World world_{seed_or(1)};
  std::vector<std::pair<HostId, Bytes>> seen_;
  const Endpoint attacker_ = *Endpoint::parse("203.0.113.66:666");
};

TEST_F(ReplayAttack, everything_again_in_any_order_to_anyone_does_nothing) {
  talk(260);
  world_.run_for(15s);
  const auto recorded = seen_;
  const std::uint64_t delivered = world_.frames_delivered();
  for (std::size_t i = 0; i < 3 * recorded.size(); ++i) {
    const auto& [from, bytes] = recorded[world_.dice.below(recorded.size())];
    // To whom it was meant, and back to its sender.
    world_.inject(attacker_, 1 - from, bytes);
    world_.inject(attacker_, from, bytes);
    if (i % 100 == 0) world_.run_for(10ms);
  }
  EXPECT_EQ(world_.frames_delivered(), delivered);
  EXPECT_EQ(world_.strangers[attacker_].to_stranger, 0U);
}

TEST_F(ReplayAttack, an_initiation_replayed_to_a_restarted_responder_gets_one_response_and_nothing_else) {
  talk(3);
  const auto recorded = seen_;
  ASSERT_EQ(recorded[0].second.size(), 148U);
  world_.restart(1);
  for (int i = 0; i < 3; ++i) {
    for (const auto& [from, bytes] : recorded) {
      if (from == 0) world_.inject(attacker_, 1, bytes);
    }
    world_.run_for(1s);
  }
  EXPECT_EQ(world_.strangers[attacker_].to_stranger, 92U);
  EXPECT_EQ(world_[1].peer(world_[0]).sessions.current(), nullptr);
  EXPECT_FALSE(world_[1].peer(world_[0]).last_handshake);

  // The victim itself is heard as soon as it notices, and is then where it says.
  talk(25);
  const auto number = world_.send(1, 0);
  world_.run_for(1s);
  EXPECT_TRUE(world_.was_delivered(number));
  EXPECT_EQ(world_[1].peer(world_[0]).path->remote, world_[0].v4);
}

TEST_F(ReplayAttack, a_restarted_initiator_is_heard_at_once) {
  talk(3);
  world_.restart(0);
  const auto number = world_.send(0, 1);
  world_.run_for(1s);
  EXPECT_TRUE(world_.was_delivered(number));
}

TEST_F(ReplayAttack, a_restarted_responder_is_found_within_half_a_minute) {
  talk(3);
  world_.restart(1);
  talk(25);
  const auto number = world_.send(0, 1);
  world_.run_for(1s);
  EXPECT_TRUE(world_.was_delivered(number));
}

TEST_F(ReplayAttack, a_clock_set_back_under_a_running_engine_does_no_harm) {
  talk(3);
  world_[0].wall_offset = -24h;
  talk(400);
  EXPECT_EQ(world_.frames_delivered(), world_.frames_sent());
}

TEST_F(ReplayAttack, a_clock_that_was_once_in_the_future_locks_nobody_out_who_remembers) {
  world_[0].wall_offset = 24h * 3650;
  talk(3);
  world_[0].wall_offset = 0h;
  world_.restart(0);
  const auto number = world_.send(0, 1);
  world_.run_for(1s);
  EXPECT_TRUE(world_.was_delivered(number));
}

TEST_F(ReplayAttack, a_clock_that_was_once_in_the_future_does_lock_out_who_forgets) {
  // The protocol's own limit (CVE-2021-46873), without which the test above would prove nothing.
  world_[0].wall_offset = 24h * 3650;
  talk(3);
  world_[0].wall_offset = 0h;
  world_.restart(0, false);
  const auto number = world_.send(0, 1);
  world_.run_for(60s);
  EXPECT_FALSE(world_.was_delivered(number));
}

}  // namespace
}  // namespace culvert::sim
