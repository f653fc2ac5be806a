// What follows from each event, and when, as in the kernel module's timers.c.
#include "culvert/protocol/timers.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

using namespace std::chrono_literals;

class TimersTest : public testing::Test {
 protected:
  /// Nothing is due until just before `delay` from now; then exactly `action` is. Time moves on to that point.
  void expect_in(Timers::Duration delay, TimerAction action) {
    ASSERT_EQ(timers_.deadline(), now_ + delay);
    EXPECT_FALSE(timers_.expire(now_ + delay - 1ns));
    now_ += delay;
    EXPECT_EQ(timers_.expire(now_), action);
  }
  void expect_off() { EXPECT_FALSE(timers_.deadline()); }

  Timers timers_;
  Timestamp now_{1h};
};

TEST_F(TimersTest, are_off_at_first) {
  expect_off();
  EXPECT_FALSE(timers_.expire(now_ + 24h));
}

TEST_F(TimersTest, are_due_late_as_well) {
  timers_.session_derived(now_);
  EXPECT_EQ(timers_.expire(now_ + 24h), TimerAction::ZeroKeys);
  EXPECT_FALSE(timers_.expire(now_ + 24h));
}

// Retrying a handshake.

TEST_F(TimersTest, an_unanswered_initiation_is_retried_after_5_seconds_and_jitter) {
  timers_.handshake_initiated(now_, 123ms);
  expect_in(5s + 123ms, TimerAction::RetryHandshake);
  expect_off();
}

TEST_F(TimersTest, a_new_initiation_starts_the_wait_anew) {
  timers_.handshake_initiated(now_, 0ms);
  now_ += 3s;
  timers_.handshake_initiated(now_, 0ms);
  expect_in(5s, TimerAction::RetryHandshake);
}

TEST_F(TimersTest, a_complete_handshake_is_not_retried) {
  timers_.handshake_initiated(now_, 0ms);
  timers_.handshake_complete();
  expect_off();
}

TEST_F(TimersTest, gives_up_after_20_initiations) {
  int initiations = 1;
  timers_.handshake_initiated(now_, 0ms);
  std::optional<TimerAction> action;
  while ((action = timers_.expire(now_ += 5s)) == TimerAction::RetryHandshake) {
    ++initiations;
    timers_.handshake_initiated(now_, 0ms);
    ASSERT_LE(initiations, 100);
  }
  EXPECT_EQ(action, TimerAction::GiveUpHandshake);
  EXPECT_EQ(initiations, 20);
  EXPECT_EQ(now_, Timestamp(1h) + 100s);
  expect_in(540s, TimerAction::ZeroKeys);
  expect_off();
}

class GivingUp : public TimersTest {
 protected:
  void SetUp() override {
    timers_.handshake_initiated(now_, 0ms);
    for (unsigned i = 0; i <= limits::max_timer_handshakes; ++i) {
      expect_in(5s, TimerAction::RetryHandshake);
      timers_.handshake_initiated(now_, 0ms);
    }
  }
};

TEST_F(GivingUp, cancels_the_keepalive) {
  now_ += 1s;
  timers_.data_received(now_);
  expect_in(4s, TimerAction::GiveUpHandshake);
  expect_in(540s, TimerAction::ZeroKeys);
  expect_off();
}

TEST_F(GivingUp, leaves_key_wiping_where_it_is_due_already) {
  timers_.session_derived(now_ - 100s);
  expect_in(5s, TimerAction::GiveUpHandshake);
  expect_in(435s, TimerAction::ZeroKeys);
  expect_off();
}

TEST_F(GivingUp, leaves_other_timers_alone) {
  timers_.data_sent(now_, 0ms);
  timers_.set_persistent_keepalive(25s, now_);
  expect_in(5s, TimerAction::GiveUpHandshake);
  expect_in(10s, TimerAction::StartHandshake);
  expect_in(10s, TimerAction::PersistentKeepalive);
}

TEST_F(GivingUp, does_not_happen_when_the_handshake_gets_through) {
  timers_.handshake_complete();
  timers_.handshake_initiated(now_, 0ms);
  expect_in(5s, TimerAction::RetryHandshake);
}

TEST_F(GivingUp, does_not_happen_when_there_is_a_new_reason) {
  timers_.attempts_reset();
  expect_in(5s, TimerAction::RetryHandshake);
}

TEST_F(GivingUp, happens_again_at_once_without_a_new_reason) {
  expect_in(5s, TimerAction::GiveUpHandshake);
  timers_.handshake_initiated(now_, 0ms);
  expect_in(5s, TimerAction::GiveUpHandshake);
}

// The passive keepalive.

TEST_F(TimersTest, data_received_is_answered_with_a_keepalive_after_10_seconds) {
  timers_.data_received(now_);
  expect_in(10s, TimerAction::SendKeepalive);
  expect_off();
}

TEST_F(TimersTest, more_data_does_not_put_the_keepalive_off) {
  timers_.data_received(now_);
  now_ += 4s;
  timers_.data_received(now_);
  expect_in(6s, TimerAction::SendKeepalive);
}

TEST_F(TimersTest, whatever_is_sent_makes_the_keepalive_needless) {
  timers_.data_received(now_);
  timers_.any_authenticated_packet_sent();
  expect_off();
}

TEST_F(TimersTest, another_keepalive_follows_if_data_came_meanwhile_and_none_could_be_sent) {
  timers_.data_received(now_);
  timers_.data_received(now_);
  expect_in(10s, TimerAction::SendKeepalive);
  expect_in(10s, TimerAction::SendKeepalive);
  expect_off();
}

TEST_F(TimersTest, the_keepalive_sent_makes_another_one_needless) {
  timers_.data_received(now_);
  timers_.data_received(now_);
  expect_in(10s, TimerAction::SendKeepalive);
  timers_.any_authenticated_packet_sent();
  expect_off();
}

TEST_F(TimersTest, what_is_received_but_no_data_asks_for_no_keepalive) {
  timers_.any_authenticated_packet_received();
  timers_.any_authenticated_packet_traversal(now_);
  expect_off();
}

// The dead peer.

TEST_F(TimersTest, data_sent_without_answer_starts_a_handshake_after_15_seconds_and_jitter) {
  timers_.data_sent(now_, 333ms);
  expect_in(15s + 333ms, TimerAction::StartHandshake);
  expect_off();
}

TEST_F(TimersTest, more_data_does_not_put_the_handshake_off) {
  timers_.data_sent(now_, 0ms);
  now_ += 7s;
  timers_.data_sent(now_, 300ms);
  expect_in(8s, TimerAction::StartHandshake);
}

TEST_F(TimersTest, whatever_is_received_shows_that_the_peer_lives) {
  timers_.data_sent(now_, 0ms);
  timers_.any_authenticated_packet_received();
  expect_off();
}

TEST_F(TimersTest, what_is_sent_does_not_show_that_the_peer_lives) {
  timers_.data_sent(now_, 0ms);
  timers_.any_authenticated_packet_sent();
  expect_in(15s, TimerAction::StartHandshake);
}

TEST_F(TimersTest, what_is_received_does_not_make_the_keepalive_needless) {
  timers_.data_received(now_);
  timers_.any_authenticated_packet_received();
  expect_in(10s, TimerAction::SendKeepalive);
}

// Wiping keys.

TEST_F(TimersTest, keys_are_wiped_540_seconds_after_the_last_session) {
  timers_.session_derived(now_);
  now_ += 500s;
  timers_.session_derived(now_);
  expect_in(540s, TimerAction::ZeroKeys);
  expect_off();
}

TEST_F(TimersTest, a_complete_handshake_does_not_put_off_wiping) {
  timers_.session_derived(now_);
  timers_.handshake_complete();
  expect_in(540s, TimerAction::ZeroKeys);
}

// The persistent keepalive.

TEST_F(TimersTest, a_persistent_keepalive_is_due_an_interval_after_it_is_set) {
  timers_.set_persistent_keepalive(25s, now_);
  EXPECT_EQ(timers_.persistent_keepalive(), 25s);
  expect_in(25s, TimerAction::PersistentKeepalive);
}

TEST_F(TimersTest, any_packet_puts_the_persistent_keepalive_off) {
  timers_.set_persistent_keepalive(25s, now_);
  now_ += 20s;
  timers_.any_authenticated_packet_traversal(now_);
  expect_in(25s, TimerAction::PersistentKeepalive);
  timers_.any_authenticated_packet_traversal(now_);
  expect_in(25s, TimerAction::PersistentKeepalive);
}

TEST_F(TimersTest, a_persistent_keepalive_that_could_not_be_sent_is_due_again) {
  timers_.set_persistent_keepalive(3s, now_);
  expect_in(3s, TimerAction::PersistentKeepalive);
  expect_in(3s, TimerAction::PersistentKeepalive);
}

TEST_F(TimersTest, a_persistent_keepalive_of_zero_is_off) {
  timers_.set_persistent_keepalive(25s, now_);
  timers_.set_persistent_keepalive(0s, now_);
  expect_off();
  timers_.any_authenticated_packet_traversal(now_);
  expect_off();
}

TEST_F(TimersTest, a_new_persistent_interval_counts_from_now) {
  timers_.set_persistent_keepalive(25s, now_);
  now_ += 10s;
  timers_.set_persistent_keepalive(60s, now_);
  expect_in(60s, TimerAction::PersistentKeepalive);
}

// All of them.

TEST_F(TimersTest, are_taken_one_by_one_in_the_order_they_are_due) {
  timers_.session_derived(now_);
  timers_.set_persistent_keepalive(25s, now_);
  timers_.data_sent(now_, 0ms);
  timers_.data_received(now_);
  timers_.handshake_initiated(now_, 0ms);
  now_ += 24h;
  EXPECT_EQ(timers_.expire(now_), TimerAction::RetryHandshake);
  EXPECT_EQ(timers_.expire(now_), TimerAction::SendKeepalive);
  EXPECT_EQ(timers_.expire(now_), TimerAction::StartHandshake);
  EXPECT_EQ(timers_.expire(now_), TimerAction::PersistentKeepalive);
  EXPECT_EQ(timers_.expire(now_), TimerAction::ZeroKeys);
  EXPECT_FALSE(timers_.expire(now_));
}

TEST_F(TimersTest, are_all_taken_when_due_at_the_same_time) {
  timers_.handshake_initiated(now_ + 20s, 0ms);
  timers_.data_received(now_ + 15s);
  timers_.data_sent(now_ + 10s, 0ms);
  timers_.set_persistent_keepalive(25s, now_);
  now_ += 25s;
  int taken = 0;
  while (timers_.expire(now_)) ++taken;
  EXPECT_EQ(taken, 4);
}

TEST_F(TimersTest, stopping_switches_all_off_and_keeps_the_interval) {
  timers_.session_derived(now_);
  timers_.set_persistent_keepalive(25s, now_);
  timers_.data_sent(now_, 0ms);
  timers_.data_received(now_);
  timers_.data_received(now_);
  timers_.handshake_initiated(now_, 0ms);
  timers_.stop();
  expect_off();
  EXPECT_EQ(timers_.persistent_keepalive(), 25s);

  timers_.data_received(now_);
  expect_in(10s, TimerAction::SendKeepalive);
  expect_off();
  timers_.any_authenticated_packet_traversal(now_);
  expect_in(25s, TimerAction::PersistentKeepalive);
}

TEST_F(GivingUp, is_forgotten_by_stopping) {
  timers_.stop();
  timers_.handshake_initiated(now_, 0ms);
  expect_in(5s, TimerAction::RetryHandshake);
}

}  // namespace
}  // namespace culvert
