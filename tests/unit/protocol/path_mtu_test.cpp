// How the search for a path's MTU goes, when it probes and when it keeps quiet.
#include "culvert/protocol/path_mtu.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "culvert/protocol/session.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t base = 1252;
constexpr std::size_t ceiling = 1472;

/// A path with a size, a delay, and somebody who sends data along it.
class PathMtuTest : public testing::Test {
 protected:
  /// Lets time pass, with data of `data` bytes every 10 ms (0: none).
  void run_for(Timestamp::duration time, std::size_t data) {
    for (const Timestamp end = now_ + time; now_ < end; now_ += 10ms) {
      if (data != 0) path_.data_sent(data, now_);
      step();
    }
  }
  void step() {
    for (auto each = in_flight_.begin(); each != in_flight_.end();) {
      if (each->arrival > now_) {
        ++each;
        continue;
      }
      EXPECT_TRUE(path_.acknowledged(each->probe.id, each->probe.size, now_));
      each = in_flight_.erase(each);
    }
    while (const auto probe = path_.expire(now_)) {
      sent_.push_back({*probe, now_});
      if (probe->size <= carried_) in_flight_.push_back({*probe, now_ + delay_});
    }
  }
  /// Data flows until the search is over.
  void find() {
    run_for(20s, 1000);
    ASSERT_EQ(path_.state(), PathMtu::State::Found);
    sent_.clear();
  }

  struct Flying {
    PathMtu::Probe probe;
    Timestamp arrival;
  };
  struct SentProbe {
    PathMtu::Probe probe;
    Timestamp time;
  };
  PathMtu path_;
  Timestamp now_{1h};
  std::size_t carried_ = ceiling;
  Timestamp::duration delay_ = 20ms;
  std::vector<Flying> in_flight_;
  std::vector<SentProbe> sent_;
};

TEST_F(PathMtuTest, is_off_until_the_peer_is_known_to_answer) {
  EXPECT_EQ(path_.state(), PathMtu::State::Off);
  run_for(10s, 1400);
  EXPECT_TRUE(sent_.empty());
  EXPECT_FALSE(path_.deadline());
}

TEST_F(PathMtuTest, starts_from_what_the_route_carries_and_proves_it_with_one_probe) {
  path_.start(base, ceiling);
  EXPECT_EQ(path_.state(), PathMtu::State::Assumed);
  EXPECT_EQ(path_.size(), ceiling);
  run_for(500ms, 100);
  EXPECT_EQ(path_.state(), PathMtu::State::Found);
  EXPECT_EQ(path_.size(), ceiling);
  ASSERT_EQ(sent_.size(), 1U);
  EXPECT_EQ(sent_[0].probe.size, ceiling);
}

TEST_F(PathMtuTest, finds_each_size_to_the_byte) {
  for (carried_ = base; carried_ <= ceiling; ++carried_) {
    path_ = {};
    path_.start(base, ceiling);
    run_for(20s, 100);
    ASSERT_EQ(path_.state(), PathMtu::State::Found);
    ASSERT_EQ(path_.size(), carried_);
  }
}

TEST_F(PathMtuTest, finds_the_size_of_a_jumbo_path) {
  carried_ = 8952;
  path_.start(base, 65507);
  run_for(30s, 100);
  EXPECT_EQ(path_.state(), PathMtu::State::Found);
  EXPECT_EQ(path_.size(), 8952U);
}

TEST_F(PathMtuTest, uses_each_larger_size_as_soon_as_it_is_proved) {
  carried_ = 1432;
  path_.start(base, ceiling);
  std::size_t before = 0;
  for (int i = 0; i < 1000; ++i) {
    run_for(10ms, 100);
    if (path_.state() == PathMtu::State::Assumed) continue;
    EXPECT_GE(path_.size(), before);
    EXPECT_LE(path_.size(), carried_);
    before = path_.size();
  }
  EXPECT_EQ(before, carried_);
}

TEST_F(PathMtuTest, is_at_the_base_a_second_after_what_the_route_carries_was_lost) {
  carried_ = base;
  path_.start(base, ceiling);
  run_for(1s, 1400);
  EXPECT_EQ(path_.size(), ceiling);
  run_for(40ms, 1400);
  EXPECT_EQ(path_.size(), base);
}

TEST_F(PathMtuTest, one_probe_in_three_is_enough) {
  path_.start(base, ceiling);
  carried_ = 0;
  run_for(650ms, 100);
  ASSERT_EQ(sent_.size(), 2U);
  carried_ = ceiling;
  run_for(200ms, 100);
  EXPECT_EQ(path_.state(), PathMtu::State::Found);
  EXPECT_EQ(path_.size(), ceiling);
  EXPECT_EQ(sent_.size(), 3U);
}

TEST_F(PathMtuTest, never_probes_below_the_base_or_above_the_ceiling) {
  carried_ = 1300;
  path_.start(base, ceiling);
  run_for(30s, 1400);
  for (const SentProbe& each : sent_) {
    EXPECT_GE(each.probe.size, base);
    EXPECT_LE(each.probe.size, ceiling);
  }
}

TEST_F(PathMtuTest, takes_a_ceiling_below_the_base_for_the_base) {
  path_.start(base, 900);
  run_for(1s, 100);
  EXPECT_EQ(path_.size(), base);
  EXPECT_EQ(path_.state(), PathMtu::State::Found);
}

TEST_F(PathMtuTest, an_idle_tunnel_sends_no_probe) {
  path_.start(base, ceiling);
  run_for(1h, 0);
  EXPECT_TRUE(sent_.empty());
  EXPECT_FALSE(path_.deadline());
}

TEST_F(PathMtuTest, stops_a_search_a_second_or_two_after_the_last_data_and_goes_on_with_the_next) {
  carried_ = 1400;
  path_.start(base, ceiling);
  run_for(200ms, 1400);
  run_for(2s, 0);
  EXPECT_NE(path_.state(), PathMtu::State::Found);
  const std::size_t count = sent_.size();
  run_for(1h, 0);
  EXPECT_EQ(sent_.size(), count);
  EXPECT_FALSE(path_.deadline());
  run_for(20s, 100);
  EXPECT_EQ(path_.size(), 1400U);
  EXPECT_EQ(path_.state(), PathMtu::State::Found);
}

TEST_F(PathMtuTest, small_data_need_no_proof_again) {
  path_.start(base, ceiling);
  find();
  run_for(100s, base);
  EXPECT_TRUE(sent_.empty());
}

TEST_F(PathMtuTest, large_data_have_the_size_proved_again_each_second) {
  path_.start(base, ceiling);
  find();
  run_for(20s, base + 1);
  EXPECT_GE(sent_.size(), 18U);
  EXPECT_LE(sent_.size(), 21U);
  for (const SentProbe& each : sent_) EXPECT_EQ(each.probe.size, ceiling);
  EXPECT_EQ(path_.state(), PathMtu::State::Found);
}

TEST_F(PathMtuTest, a_black_hole_is_left_within_two_seconds_and_a_bit) {
  path_.start(base, ceiling);
  find();
  run_for(1500ms, 1400);
  carried_ = base;
  const Timestamp began = now_;
  while (path_.size() != base && now_ - began < 10s) run_for(10ms, 1400);
  EXPECT_LE(now_ - began, 2100ms);
  run_for(20s, 1400);
  EXPECT_EQ(path_.state(), PathMtu::State::Found);
  EXPECT_EQ(path_.size(), base);
}

TEST_F(PathMtuTest, a_single_large_datagram_is_enough_to_find_a_black_hole) {
  path_.start(base, ceiling);
  find();
  run_for(100s, 0);
  carried_ = base;
  path_.data_sent(1400, now_);
  run_for(1100ms, 0);
  EXPECT_EQ(path_.size(), base);
}

TEST_F(PathMtuTest, after_a_black_hole_that_was_none_the_old_size_is_back_with_the_next_answer) {
  path_.start(base, ceiling);
  find();
  run_for(1500ms, 1400);
  carried_ = 0;
  while (path_.size() != base) run_for(10ms, 1400);
  carried_ = ceiling;
  // The first probe of the base was lost, too.
  run_for(500ms, 1400);
  EXPECT_EQ(path_.size(), ceiling);
  EXPECT_EQ(path_.state(), PathMtu::State::Found);
}

TEST_F(PathMtuTest, finds_what_is_left_after_a_path_got_smaller) {
  path_.start(base, ceiling);
  find();
  carried_ = 1372;
  run_for(20s, 1400);
  EXPECT_EQ(path_.size(), 1372U);
}

TEST_F(PathMtuTest, a_path_that_gets_smaller_during_the_search_is_noticed) {
  carried_ = 1440;
  path_.start(base, ceiling);
  while (path_.size() != 1438 && path_.size() != 1440) run_for(10ms, 1400);
  carried_ = base;
  const Timestamp began = now_;
  while (path_.size() != base && now_ - began < 10s) run_for(10ms, 1400);
  EXPECT_LE(now_ - began, 3100ms);
}

TEST_F(PathMtuTest, tries_more_again_after_ten_minutes) {
  carried_ = 1400;
  path_.start(base, ceiling);
  find();
  carried_ = ceiling;
  run_for(570s, 100);
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(path_.size(), 1400U);
  run_for(40s, 100);
  EXPECT_EQ(path_.size(), ceiling);
}

TEST_F(PathMtuTest, at_the_ceiling_nothing_more_is_tried) {
  path_.start(base, ceiling);
  find();
  run_for(1300s, 100);
  EXPECT_TRUE(sent_.empty());
}

TEST_F(PathMtuTest, where_nothing_goes_through_the_base_is_tried_on_and_on_at_intervals) {
  carried_ = 0;
  path_.start(base, ceiling);
  run_for(32s, 1400);
  EXPECT_EQ(path_.size(), base);
  EXPECT_NE(path_.state(), PathMtu::State::Found);
  // Three probes in three seconds, after those of the ceiling.
  EXPECT_LE(sent_.size(), 36U);
  EXPECT_GE(sent_.size(), 27U);
  carried_ = ceiling;
  run_for(4s, 1400);
  EXPECT_EQ(path_.size(), ceiling);
}

TEST_F(PathMtuTest, an_answer_that_comes_late_still_proves_its_size) {
  delay_ = 1500ms;
  path_.start(base, ceiling);
  run_for(1100ms, 1400);
  EXPECT_EQ(path_.size(), base);
  run_for(500ms, 1400);
  EXPECT_EQ(path_.size(), ceiling);
}

TEST_F(PathMtuTest, an_answer_counts_once_and_only_for_what_was_sent) {
  path_.start(base, ceiling);
  path_.data_sent(100, now_);
  const auto probe = path_.expire(now_);
  ASSERT_TRUE(probe);
  EXPECT_FALSE(path_.acknowledged(probe->id + 1, probe->size, now_));
  EXPECT_FALSE(path_.acknowledged(probe->id, probe->size - 1, now_));
  EXPECT_FALSE(path_.acknowledged(probe->id, probe->size + 1, now_));
  EXPECT_FALSE(path_.acknowledged(probe->id, 0, now_));
  EXPECT_EQ(path_.state(), PathMtu::State::Assumed);
  EXPECT_TRUE(path_.acknowledged(probe->id, probe->size, now_));
  EXPECT_FALSE(path_.acknowledged(probe->id, probe->size, now_));
}

TEST_F(PathMtuTest, answers_from_before_another_way_was_taken_prove_nothing) {
  path_.start(base, ceiling);
  path_.data_sent(100, now_);
  const auto probe = path_.expire(now_);
  ASSERT_TRUE(probe);
  path_.stop();
  path_.start(base, ceiling);
  EXPECT_FALSE(path_.acknowledged(probe->id, probe->size, now_));
}

TEST_F(PathMtuTest, another_way_is_probed_from_the_beginning) {
  carried_ = 1400;
  path_.start(base, ceiling);
  find();
  path_.stop();
  path_.start(base, ceiling);
  EXPECT_EQ(path_.state(), PathMtu::State::Assumed);
  EXPECT_EQ(path_.size(), ceiling);
  find();
  EXPECT_EQ(path_.size(), 1400U);
}

TEST_F(PathMtuTest, a_higher_ceiling_is_searched_without_giving_up_what_is_proved) {
  path_.start(base, ceiling);
  find();
  path_.start(base, 8972);
  EXPECT_EQ(path_.size(), ceiling);
  EXPECT_EQ(path_.state(), PathMtu::State::Searching);
  carried_ = 8972;
  run_for(1s, 100);
  EXPECT_EQ(path_.size(), 8972U);
}

TEST_F(PathMtuTest, a_lower_ceiling_counts_at_once) {
  path_.start(base, ceiling);
  find();
  path_.start(base, 1400);
  EXPECT_EQ(path_.size(), 1400U);
  EXPECT_EQ(path_.state(), PathMtu::State::Found);
}

TEST_F(PathMtuTest, an_assumed_size_follows_the_route) {
  path_.start(base, ceiling);
  path_.start(base, 8972);
  EXPECT_EQ(path_.size(), 8972U);
  EXPECT_EQ(path_.state(), PathMtu::State::Assumed);
}

TEST_F(PathMtuTest, starting_again_with_the_same_sizes_changes_nothing) {
  carried_ = 1400;
  path_.start(base, ceiling);
  find();
  path_.start(base, ceiling);
  EXPECT_EQ(path_.state(), PathMtu::State::Found);
  EXPECT_EQ(path_.size(), 1400U);
}

TEST_F(PathMtuTest, asks_for_the_route_when_it_falls_and_when_it_tries_more) {
  path_.start(base, ceiling);
  find();
  EXPECT_FALSE(path_.take_route_question());
  carried_ = 1400;
  run_for(20s, 1400);
  EXPECT_TRUE(path_.take_route_question());
  EXPECT_FALSE(path_.take_route_question());
  run_for(620s, 100);
  EXPECT_TRUE(path_.take_route_question());
}

TEST_F(PathMtuTest, stopped_it_keeps_quiet) {
  path_.start(base, ceiling);
  path_.data_sent(1400, now_);
  path_.stop();
  EXPECT_EQ(path_.state(), PathMtu::State::Off);
  run_for(10s, 1400);
  EXPECT_TRUE(sent_.empty());
}

TEST(PathProbe, is_read_back) {
  std::array<std::byte, 100> plaintext;
  plaintext.fill(std::byte{0xff});
  write_probe(plaintext, 0x01020304);
  EXPECT_EQ(plaintext[99], std::byte{0});
  const auto envelope = parse_envelope(plaintext);
  ASSERT_TRUE(envelope);
  EXPECT_EQ(envelope->kind, EnvelopeKind::Probe);
  EXPECT_EQ(envelope->body.size(), 98U);
  EXPECT_EQ(parse_probe(envelope->body), 0x01020304U);
}

TEST(PathProbe, smaller_than_its_answer_is_none) {
  const std::array<std::byte, 14> body{};
  EXPECT_TRUE(parse_probe(body));
  EXPECT_FALSE(parse_probe(ByteView(body).first(13)));
  EXPECT_FALSE(parse_probe({}));
  EXPECT_GE(path_probe_size_min, Session::sealed_size(path_ack_size, limits::default_mtu) - limits::data_overhead);
}

TEST(PathProbeAck, is_read_back) {
  ProbeAck ack;
  ack.id = 7;
  ack.size = std::uint16_t{1472};
  auto plaintext = build_probe_ack(ack);
  const auto envelope = parse_envelope(plaintext);
  ASSERT_TRUE(envelope);
  EXPECT_EQ(envelope->kind, EnvelopeKind::ProbeAck);
  const auto read = parse_probe_ack(envelope->body);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->id, 7U);
  EXPECT_EQ(read->size, 1472U);
  EXPECT_FALSE(parse_probe_ack(envelope->body.first(5)));
}

TEST(ProbeAckLimit, lets_32_through_at_once_and_32_each_second) {
  ProbeAckLimit limit;
  const Timestamp now(1h);
  int allowed = 0;
  for (int i = 0; i < 1000; ++i) allowed += limit.allow(now);
  EXPECT_EQ(allowed, 32);
  for (int i = 0; i < 10'000; ++i) allowed += limit.allow(now + i * 1ms);
  EXPECT_NEAR(allowed, 32 + 320, 2);
}

}  // namespace
}  // namespace culvert
