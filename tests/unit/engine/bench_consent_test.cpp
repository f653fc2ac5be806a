// Two engines: one asks the other whether it may measure.
#include "culvert/protocol/bench_consent.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "culvert/engine/bench_talk.hpp"
#include "support/peer_pair.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t sealed_request_size = bench_request_size + limits::data_overhead;

class AskingForABenchmark : public testing::Test {
 protected:
  AskingForABenchmark() {
    for (EngineNode* node : {&pair.a, &pair.b}) node->engine.set_features({Feature::Bench});
  }

  void run_for(Timestamp::duration time) {
    for (Timestamp::duration passed{0}; passed < time; passed += 50ms) {
      pair.advance(50ms);
      turn();
    }
  }
  /// What is due is done, and what is said is heard.
  void turn() {
    for (EngineNode* node : {&pair.a, &pair.b}) node->engine.on_deadline(pair.now, node->out);
    for (const SentDatagram& datagram : pair.a.out.take()) {
      requests += datagram.bytes.size() == sealed_request_size;
      if (datagram.bytes.size() == sealed_request_size && lost != 0) {
        --lost;
        continue;
      }
      pair.b.receive(pair.a.endpoint, datagram.bytes, pair.now);
    }
    pair.exchange();
  }
  void ask() { pair.a.engine.ask_for_bench(pair.b_at_a, number, pair.now); }
  static unsigned count_events(EngineNode& node, EventKind kind) {
    unsigned count = 0;
    while (const auto event = node.engine.poll_event()) count += event->kind == kind;
    return count;
  }
  [[nodiscard]] BenchAnswer grant() const {
    BenchAnswer answer;
    answer.number = number;
    answer.verdict = BenchVerdict::Granted;
    answer.port = 4711;
    answer.v4 = pair.b.inner;
    std::ranges::fill(answer.token.writable_bytes(), std::byte{7});
    return answer;
  }
  void answer(BenchAnswer&& what) {
    pair.b.engine.answer_bench(pair.a_at_b, std::move(what), pair.now);
    turn();
  }
  /// Puts an envelope of b's into its session with a.
  void inject(ByteView plaintext) {
    Session* session = const_cast<Peer&>(pair.peer_at_b()).sessions.current();
    Bytes datagram(Session::sealed_size(plaintext.size(), plaintext.size()));
    session->seal(plaintext, datagram);
    pair.a.receive(pair.b.endpoint, datagram, pair.now);
  }

  PeerPair pair;
  BenchNumber number{std::byte{1}, std::byte{2}, std::byte{3}};
  unsigned requests = 0;
  unsigned lost = 0;
};

TEST_F(AskingForABenchmark, brings_the_request_there_and_the_answer_back) {
  pair.handshake();
  ask();
  turn();
  EXPECT_EQ(count_events(pair.b, EventKind::BenchAsked), 1U);
  EXPECT_EQ(pair.b.engine.take_bench_request(pair.a_at_b), number);
  EXPECT_FALSE(pair.b.engine.take_bench_request(pair.a_at_b)) << "once";
  EXPECT_FALSE(pair.a.engine.take_bench_answer(pair.b_at_a));
  answer(grant());
  EXPECT_EQ(count_events(pair.a, EventKind::BenchAnswered), 1U);
  const auto heard = pair.a.engine.take_bench_answer(pair.b_at_a);
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->verdict, BenchVerdict::Granted);
  EXPECT_EQ(heard->port, 4711);
  EXPECT_EQ(heard->v4, pair.b.inner);
  EXPECT_TRUE(heard->token == grant().token);
  EXPECT_FALSE(pair.a.engine.take_bench_answer(pair.b_at_a)) << "once";
  run_for(3s);
  EXPECT_EQ(requests, 1U) << "nothing is asked after the answer";
}

TEST_F(AskingForABenchmark, begins_a_handshake_and_waits_for_the_hello) {
  ask();
  run_for(1s);
  EXPECT_EQ(count_events(pair.b, EventKind::BenchAsked), 1U);
}

TEST_F(AskingForABenchmark, is_said_again_when_it_is_lost) {
  pair.handshake();
  lost = 2;
  ask();
  turn();
  run_for(1900ms);
  EXPECT_EQ(requests, 2U);
  EXPECT_EQ(count_events(pair.b, EventKind::BenchAsked), 0U);
  run_for(200ms);
  EXPECT_EQ(count_events(pair.b, EventKind::BenchAsked), 1U);
}

TEST_F(AskingForABenchmark, ends_after_a_while_without_an_answer) {
  pair.handshake();
  ask();
  turn();
  run_for(limits::bench_request_time + 5s);
  EXPECT_EQ(requests, 10U);
  answer(grant());
  EXPECT_FALSE(pair.a.engine.take_bench_answer(pair.b_at_a));
  EXPECT_EQ(pair.a.dropped(DropReason::BadBench), 1U) << "too late";
}

TEST_F(AskingForABenchmark, says_nothing_to_a_peer_that_does_not_know_what_that_is) {
  pair.b.engine.set_features({Feature::Fragments});
  ask();
  run_for(limits::bench_request_time);
  EXPECT_EQ(requests, 0U);
}

TEST_F(AskingForABenchmark, is_an_unknown_envelope_to_who_did_not_offer_it) {
  pair.a.engine.set_features({});
  pair.handshake();
  inject(build_bench_request(number));
  std::array<std::byte, bench_answer_size> plaintext;
  write_bench_answer(plaintext, grant());
  inject(plaintext);
  EXPECT_EQ(pair.a.dropped(DropReason::UnknownEnvelope), 2U);
  EXPECT_EQ(count_events(pair.a, EventKind::BenchAsked), 0U);
}

TEST_F(AskingForABenchmark, hears_answers_to_its_own_request_only_and_once) {
  pair.handshake();
  std::array<std::byte, bench_answer_size> plaintext;
  write_bench_answer(plaintext, grant());
  inject(plaintext);
  EXPECT_EQ(pair.a.dropped(DropReason::BadBench), 1U) << "nothing was asked";
  ask();
  turn();
  BenchAnswer other = grant();
  other.number[15] = std::byte{1};
  write_bench_answer(plaintext, other);
  inject(plaintext);
  EXPECT_EQ(pair.a.dropped(DropReason::BadBench), 2U) << "not this";
  EXPECT_EQ(count_events(pair.a, EventKind::BenchAnswered), 0U);
  write_bench_answer(plaintext, grant());
  inject(plaintext);
  inject(plaintext);
  EXPECT_EQ(count_events(pair.a, EventKind::BenchAnswered), 1U);
  EXPECT_EQ(pair.a.dropped(DropReason::BadBench), 3U) << "not again";
}

TEST_F(AskingForABenchmark, counts_what_does_not_parse) {
  pair.handshake();
  Bytes short_request(16);
  write_envelope_header(short_request.data(), EnvelopeKind::BenchRequest, 0);
  inject(short_request);
  write_envelope_header(short_request.data(), EnvelopeKind::BenchAnswer, 0);
  inject(short_request);
  EXPECT_EQ(pair.a.dropped(DropReason::BadBench), 2U);
}

TEST_F(AskingForABenchmark, too_often_is_not_heard) {
  pair.handshake();
  inject(build_bench_request(number));
  pair.advance(limits::bench_request_interval_min - 1ms);
  inject(build_bench_request(number));
  EXPECT_EQ(pair.a.dropped(DropReason::BenchFlood), 1U);
  EXPECT_EQ(count_events(pair.a, EventKind::BenchAsked), 1U);
  pair.advance(1ms);
  inject(build_bench_request(number));
  EXPECT_EQ(count_events(pair.a, EventKind::BenchAsked), 1U);
}

TEST_F(AskingForABenchmark, an_answer_without_a_session_is_forgotten) {
  pair.b.engine.answer_bench(pair.a_at_b, grant(), pair.now);
  run_for(1s);
  EXPECT_TRUE(pair.b.out.take().empty());
  EXPECT_EQ(count_events(pair.b, EventKind::InitiationSent), 0U) << "nor does it begin a handshake";
}

TEST_F(AskingForABenchmark, of_a_peer_that_is_gone_does_nothing) {
  pair.a.engine.remove_peer(pair.b_at_a);
  ask();
  pair.a.engine.answer_bench(pair.b_at_a, grant(), pair.now);
  EXPECT_FALSE(pair.a.engine.take_bench_answer(pair.b_at_a));
  EXPECT_FALSE(pair.a.engine.take_bench_request(pair.b_at_a));
}

}  // namespace
}  // namespace culvert
