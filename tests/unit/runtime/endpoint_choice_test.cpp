// Which address a peer is called at, under a clock of the test's.
#include "culvert/runtime/endpoint_choice.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

using namespace std::chrono_literals;
using Decision = EndpointChoice::Decision;
using InUse = EndpointChoice::InUse;

const Endpoint a = *Endpoint::parse("192.0.2.1:1");
const Endpoint b = *Endpoint::parse("192.0.2.2:1");
const Endpoint c = *Endpoint::parse("[2001:db8::3]:1");
const Decision keep{};

Decision set(const Endpoint& endpoint) {
  return {Decision::Kind::Set, endpoint};
}
Decision probe(const Endpoint& endpoint) {
  return {Decision::Kind::Probe, endpoint};
}

class EndpointChoiceTest : public testing::Test {
 protected:
  /// A peer that was heard of at `endpoint`, the only address of its name.
  void settle_at(const Endpoint& endpoint) {
    in_use_ = {endpoint, true};
    EXPECT_EQ(look_up({endpoint}), keep);
    choice_.session_established();
  }
  Decision look_up(const std::vector<Endpoint>& found) { return choice_.answered(found, in_use_, now_); }
  Decision fail() { return choice_.handshake_unanswered(in_use_); }

  EndpointChoice choice_;
  InUse in_use_;
  Timestamp now_{1h};
};

TEST_F(EndpointChoiceTest, the_first_address_is_set_where_there_is_none) {
  EXPECT_EQ(look_up({a, b}), set(a));
  in_use_.endpoint = a;
  EXPECT_EQ(look_up({a, b}), keep);
}

TEST_F(EndpointChoiceTest, an_answer_that_has_the_address_in_use_changes_nothing) {
  settle_at(a);
  EXPECT_EQ(look_up({b, a}), keep);
  EXPECT_EQ(look_up({a, c}), keep);
}

TEST_F(EndpointChoiceTest, an_answer_without_the_address_in_use_is_tried_beside_it) {
  settle_at(a);
  EXPECT_EQ(look_up({b}), probe(b));
}

TEST_F(EndpointChoiceTest, an_address_that_never_answered_is_replaced) {
  EXPECT_EQ(look_up({a}), set(a));
  in_use_.endpoint = a;
  EXPECT_EQ(look_up({b}), set(b));
}

TEST_F(EndpointChoiceTest, a_candidate_that_answered_is_not_tried_again) {
  settle_at(a);
  EXPECT_EQ(look_up({b}), probe(b));
  // It answered from the address in use: a host with two.
  choice_.session_established();
  now_ += 24h;
  EXPECT_EQ(look_up({b}), keep);
}

TEST_F(EndpointChoiceTest, a_candidate_that_does_not_answer_is_tried_ever_more_rarely) {
  settle_at(a);
  std::vector<Timestamp> probes;
  for (const Timestamp end = now_ + 12h; now_ < end; now_ += 10s) {
    const Decision decision = look_up({b});
    if (decision == keep) continue;
    EXPECT_EQ(decision, probe(b));
    probes.push_back(now_);
    EXPECT_EQ(fail(), keep) << "nothing is known of the path yet";
    choice_.session_established();
  }
  ASSERT_GT(probes.size(), 10U);
  EXPECT_LT(probes.size(), 30U);
  EXPECT_EQ(probes[1] - probes[0], EndpointChoice::probe_pause_min);
  EXPECT_EQ(probes.back() - probes[probes.size() - 2], EndpointChoice::probe_pause_max);
}

TEST_F(EndpointChoiceTest, candidates_that_do_not_answer_are_tried_in_turn) {
  settle_at(a);
  for (const Endpoint& expected : {b, c, b, c}) {
    EXPECT_EQ(look_up({b, c}), probe(expected));
    EXPECT_EQ(fail(), keep);
    choice_.session_established();
    now_ += 1h;
  }
}

TEST_F(EndpointChoiceTest, another_answer_is_tried_at_once_however_long_the_pause_has_become) {
  settle_at(a);
  EXPECT_EQ(look_up({b}), probe(b));
  EXPECT_EQ(fail(), keep);
  choice_.session_established();
  EXPECT_EQ(look_up({b}), keep);
  EXPECT_EQ(look_up({c}), probe(c));
}

TEST_F(EndpointChoiceTest, a_peer_that_roams_is_not_pulled_back) {
  settle_at(a);
  in_use_.endpoint = c;
  choice_.endpoint_moved();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(look_up({a}), keep);
    choice_.session_established();
    now_ += 1min;
  }
}

TEST_F(EndpointChoiceTest, a_peer_heard_of_after_the_answer_stays_where_it_was_heard_of) {
  settle_at(a);
  EXPECT_EQ(look_up({b}), probe(b));
  EXPECT_EQ(fail(), keep);
  in_use_.endpoint = c;
  choice_.endpoint_moved();
  now_ += 24h;
  EXPECT_EQ(look_up({b}), keep);
}

TEST_F(EndpointChoiceTest, a_peer_that_roamed_and_changed_its_name_is_looked_for_there) {
  settle_at(a);
  in_use_.endpoint = c;
  choice_.endpoint_moved();
  EXPECT_EQ(look_up({b}), probe(b));
}

TEST_F(EndpointChoiceTest, failing_handshakes_go_round_all_addresses_and_the_one_that_worked) {
  settle_at(a);
  in_use_.endpoint = c;
  choice_.endpoint_moved();
  EXPECT_EQ(look_up({a, b}), probe(a)) << "another answer than before";
  EXPECT_EQ(fail(), keep);
  EXPECT_EQ(fail(), probe(a)) << "the one that worked failed";
  EXPECT_EQ(look_up({a, b}), keep);
  EXPECT_EQ(fail(), probe(b));
  EXPECT_EQ(look_up({b, a}), keep);
  EXPECT_EQ(fail(), keep) << "the path itself";
  EXPECT_EQ(look_up({a, b}), keep);
  EXPECT_EQ(fail(), probe(a)) << "whatever the order of the answers";
}

TEST_F(EndpointChoiceTest, an_address_that_never_answered_is_not_come_back_to) {
  EXPECT_EQ(look_up({a}), set(a));
  in_use_.endpoint = a;
  EXPECT_EQ(fail(), keep);
  EXPECT_EQ(look_up({b, c}), set(b));
  in_use_.endpoint = b;
  EXPECT_EQ(fail(), set(c));
  in_use_.endpoint = c;
  EXPECT_EQ(fail(), set(b));
}

TEST_F(EndpointChoiceTest, another_answer_while_handshakes_fail_is_tried_next) {
  settle_at(a);
  EXPECT_EQ(fail(), keep);
  EXPECT_EQ(look_up({b}), probe(b));
  EXPECT_EQ(look_up({b}), keep);
  EXPECT_EQ(fail(), keep) << "the path itself";
  EXPECT_EQ(fail(), probe(b));
}

TEST_F(EndpointChoiceTest, a_failure_before_any_answer_leads_nowhere) {
  in_use_ = {a, true};
  EXPECT_EQ(fail(), keep);
  in_use_ = {};
  EXPECT_EQ(fail(), keep);
}

}  // namespace
}  // namespace culvert
