// Keys over time: rotation and confirmation, when new ones are asked for, when old ones are refused and wiped.
#include <gtest/gtest.h>

#include "sim/world.hpp"

namespace culvert::sim {
namespace {

using namespace std::chrono_literals;

class Rekey : public testing::Test {
 protected:
  Rekey() {
    world_.add_host();
    world_.add_host();
    world_.introduce(0, 1);
  }
  /// The session in use at `at`, with the other host.
  const Session* current(HostId at) { return world_[at].peer(world_[1 - at]).sessions.current(); }
  const SessionSet& sessions(HostId at) { return world_[at].peer(world_[1 - at]).sessions; }
  /// 0 opens a session and 1 confirms it; both then owe nothing.
  void begin() {
    world_.send(0, 1);
    world_.run_for(15s);
    ASSERT_NE(current(0), nullptr);
    ASSERT_NE(current(1), nullptr);
  }

  World world_{seed_or(1)};
};

TEST_F(Rekey, the_responder_sends_only_after_the_initiators_first_message) {
  world_.send(0, 1);
  world_.run_for(10ms);
  EXPECT_EQ(current(1), nullptr);
  ASSERT_NE(sessions(1).next(), nullptr);
  const auto early = world_.send(1, 0);
  EXPECT_EQ(world_[1].sent_by_type[4], 0U);
  world_.run_for(10ms);
  ASSERT_NE(current(0), nullptr);
  EXPECT_EQ(world_[1].sent_by_type[4], 0U);
  world_.run_for(10ms);
  EXPECT_NE(current(1), nullptr);
  EXPECT_EQ(sessions(1).next(), nullptr);
  EXPECT_EQ(world_[1].sent_by_type[4], 2U) << "what waited, and the answer to the hello";
  world_.run_for(10ms);
  EXPECT_TRUE(world_.was_delivered(early));
}

TEST_F(Rekey, sessions_move_through_their_slots_and_nothing_in_flight_is_lost) {
  begin();
  const SessionIndex first_at_0 = current(0)->local_index();
  const SessionIndex first_at_1 = current(1)->local_index();
  world_.run_until(current(0)->birth() + 120s);
  world_.network.faults.reordering = 0.5;
  world_.network.faults.reordering_delay = 50ms;
  for (int i = 0; i < 200; ++i) {
    world_.send(0, 1);
    world_.send(1, 0);
    world_.run_for(1ms);
  }
  world_.run_for(1s);
  EXPECT_EQ(world_.frames_delivered(), world_.frames_sent());
  EXPECT_NE(current(0)->local_index(), first_at_0);
  EXPECT_NE(current(1)->local_index(), first_at_1);
  EXPECT_EQ(sessions(0).previous()->local_index(), first_at_0);
  EXPECT_EQ(sessions(1).previous()->local_index(), first_at_1);
  EXPECT_EQ(sessions(0).next(), nullptr);
  EXPECT_EQ(sessions(1).next(), nullptr);
  EXPECT_EQ(world_[0].engine->peers().index_count(), 2U);
}

TEST_F(Rekey, the_initiator_asks_with_its_first_data_after_two_minutes) {
  begin();
  const Timestamp birth = current(0)->birth();
  std::optional<Timestamp> first_after;
  while (world_[0].initiations.size() < 2 && world_.clock.time() < birth + 130s) {
    if (world_.clock.time() >= birth + 120s && !first_after) first_after = world_.clock.time();
    world_.send(0, 1);
    world_.run_for(100ms);
  }
  ASSERT_EQ(world_[0].initiations.size(), 2U);
  EXPECT_EQ(world_[0].initiations[1], first_after);
  EXPECT_LT(*first_after - birth, 120s + 100ms);
  EXPECT_TRUE(world_[1].initiations.empty());
}

TEST_F(Rekey, the_initiator_asks_when_data_arrives_in_the_last_minute) {
  begin();
  const Timestamp birth = current(0)->birth();
  world_.run_until(birth + 165s - 10ms - 1ns);
  world_.send(1, 0);
  world_.run_for(10ms);
  EXPECT_EQ(world_[0].initiations.size(), 1U);
  world_.run_for(1ns);
  world_.send(1, 0);
  world_.run_for(10ms);
  ASSERT_EQ(world_[0].initiations.size(), 2U);
  EXPECT_EQ(world_[0].initiations[1], birth + 165s + 10ms);
  EXPECT_TRUE(world_[1].initiations.empty());
}

TEST_F(Rekey, the_responder_does_not_ask_while_its_keys_are_good) {
  begin();
  // What the initiator says gets lost, so that it cannot ask itself.
  world_.run_until(current(1)->birth() + 119s);
  world_.on_wire = [this](const Host& from, const Endpoint&, const SentDatagram&) {
    world_.network.faults.loss = from.id == 0 ? 1 : 0;
  };
  const Timestamp birth = current(1)->birth();
  // Stays below the fifteen seconds after which silence itself is a reason.
  world_.run_until(birth + 166s);
  while (world_.clock.time() < birth + 180s - 500ms) {
    world_.send(1, 0);
    world_.run_for(500ms);
  }
  EXPECT_TRUE(world_[1].initiations.empty());
}

TEST_F(Rekey, no_data_leaves_or_is_taken_with_keys_older_than_three_minutes) {
  begin();
  const Timestamp birth = std::max(current(0)->birth(), current(1)->birth());
  world_.run_until(birth + 170s);
  world_.network.faults.delay = 12s;
  world_.send(0, 1);
  const auto late = world_.frames_sent() - 1;
  world_.network.faults.loss = 1;
  std::uint64_t data_before = 0;
  while (world_.clock.time() < birth + 240s) {
    if (world_.clock.time() >= birth + 180s && data_before == 0) {
      data_before = world_[0].sent_by_type[4] + world_[1].sent_by_type[4];
    }
    world_.send(0, 1);
    world_.send(1, 0);
    world_.run_for(1s);
  }
  EXPECT_EQ(world_[0].sent_by_type[4] + world_[1].sent_by_type[4], data_before);
  EXPECT_FALSE(world_.was_delivered(late));
  EXPECT_GT(world_[1].initiations.size(), 0U);

  world_.network.faults = {};
  world_.run_for(15s);
  EXPECT_NE(current(0), nullptr);
  EXPECT_GE(current(0)->birth(), birth + 240s);
}

TEST_F(Rekey, exhausted_counters_lead_to_a_new_session_and_lose_nothing) {
  begin();
  for (const HostId host : {HostId{0}, HostId{1}}) {
    const_cast<Session*>(current(host))->set_sending_counter(limits::reject_after_messages - 3);
  }
  const SessionIndex before = current(0)->local_index();
  for (int i = 0; i < 10; ++i) {
    world_.send(0, 1);
    world_.send(1, 0);
  }
  world_.run_for(1s);
  // Both asked at once, and each took the other's question for the only one.
  world_.run_for(20s);
  EXPECT_EQ(world_.frames_delivered(), world_.frames_sent());
  EXPECT_NE(current(0)->local_index(), before);
}

TEST_F(Rekey, all_keys_are_gone_nine_minutes_after_the_last_session) {
  begin();
  const Timestamp birth = std::max(current(0)->birth(), current(1)->birth());
  world_.run_until(birth + 539s);
  EXPECT_NE(current(0), nullptr);
  world_.run_until(birth + 541s);
  for (const HostId host : {HostId{0}, HostId{1}}) {
    EXPECT_EQ(sessions(host).current(), nullptr);
    EXPECT_EQ(sessions(host).previous(), nullptr);
    EXPECT_EQ(sessions(host).next(), nullptr);
    EXPECT_EQ(world_[host].engine->peers().index_count(), 0U);
    EXPECT_FALSE(world_[host].engine->next_deadline());
    EXPECT_EQ(world_[host].events[EventKind::KeysExpired], 1U);
  }
}

TEST_F(Rekey, a_day_of_conversation_loses_nothing) {
  for (int second = 0; second < 24 * 3600; second += 2) {
    world_.send(0, 1);
    world_.send(1, 0);
    world_.run_for(2s);
  }
  EXPECT_EQ(world_.frames_delivered(), world_.frames_sent());
  // One per two minutes, each begun by whoever began the last.
  const std::size_t handshakes = world_[0].initiations.size() + world_[1].initiations.size();
  EXPECT_GE(handshakes, 700U);
  EXPECT_LE(handshakes, 722U);
}

TEST_F(Rekey, keys_age_while_the_machines_sleep) {
  begin();
  world_.sleep(1h);
  const auto after = world_.send(0, 1);
  EXPECT_EQ(world_[0].initiations.size(), 2U);
  world_.run_for(1s);
  EXPECT_TRUE(world_.was_delivered(after));
}

TEST_F(Rekey, a_frame_that_slept_on_the_way_is_not_taken) {
  begin();
  world_.network.faults.delay = 181s;
  const auto late = world_.send(0, 1);
  world_.network.faults.delay = 10ms;
  world_.sleep(181s);
  world_.run_for(1ms);
  EXPECT_FALSE(world_.was_delivered(late));
}

}  // namespace
}  // namespace culvert::sim
