// How the three sessions of a peer take each other's place.
#include "culvert/protocol/session_set.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "support/crypto_ready.hpp"

namespace culvert {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::unique_ptr<Session> session(std::uint32_t index, bool is_initiator = true) {
  return std::make_unique<Session>(Session::Keys{}, is_initiator, SessionIndex(index), SessionIndex(index + 1000),
                                   Timestamp());
}

std::vector<std::uint32_t> list(const ReleasedIndices& released) {
  std::vector<std::uint32_t> indices;
  for (const SessionIndex index : released) indices.push_back(index.value());
  return indices;
}

/// The local indices in the slots; 0 for an empty one.
std::vector<std::uint32_t> slots(SessionSet& set) {
  const auto index = [](const Session* slot) { return slot ? slot->local_index().value() : 0; };
  return {index(set.current()), index(set.previous()), index(set.next())};
}

class SessionSetTest : public testing::Test {
 protected:
  /// Fills the slots with sessions 1, 2 and 3 where asked to. A `next` comes with no `previous`, which it ended.
  void fill(bool current, bool previous, bool next) {
    if (previous) static_cast<void>(set_.add_as_initiator(session(2)));
    if (current) static_cast<void>(set_.add_as_initiator(session(1)));
    if (next) static_cast<void>(set_.add_as_responder(session(3, false)));
  }
  SessionSet set_;
};

TEST_F(SessionSetTest, starts_empty) {
  EXPECT_THAT(slots(set_), ElementsAre(0, 0, 0));
  EXPECT_EQ(set_.find(SessionIndex(0)), nullptr);
}

TEST_F(SessionSetTest, an_initiators_session_is_current_at_once) {
  EXPECT_THAT(list(set_.add_as_initiator(session(9))), IsEmpty());
  EXPECT_THAT(slots(set_), ElementsAre(9, 0, 0));
}

TEST_F(SessionSetTest, an_initiators_session_makes_the_current_one_previous) {
  fill(true, false, false);
  EXPECT_THAT(list(set_.add_as_initiator(session(9))), IsEmpty());
  EXPECT_THAT(slots(set_), ElementsAre(9, 1, 0));
}

TEST_F(SessionSetTest, an_initiators_session_ends_the_previous_one) {
  fill(true, true, false);
  EXPECT_THAT(list(set_.add_as_initiator(session(9))), ElementsAre(2));
  EXPECT_THAT(slots(set_), ElementsAre(9, 1, 0));
}

TEST_F(SessionSetTest, an_initiators_session_makes_an_unconfirmed_one_previous) {
  fill(false, false, true);
  EXPECT_THAT(list(set_.add_as_initiator(session(9))), IsEmpty());
  EXPECT_THAT(slots(set_), ElementsAre(9, 3, 0));
}

TEST_F(SessionSetTest, an_initiators_session_prefers_an_unconfirmed_one_to_the_current_one) {
  fill(true, false, true);
  EXPECT_THAT(list(set_.add_as_initiator(session(9))), ElementsAre(1));
  EXPECT_THAT(slots(set_), ElementsAre(9, 3, 0));
}

TEST_F(SessionSetTest, a_responders_session_waits) {
  EXPECT_THAT(list(set_.add_as_responder(session(9, false))), IsEmpty());
  EXPECT_THAT(slots(set_), ElementsAre(0, 0, 9));
  EXPECT_EQ(set_.current(), nullptr);
}

TEST_F(SessionSetTest, a_responders_session_leaves_the_current_one_alone) {
  fill(true, false, false);
  EXPECT_THAT(list(set_.add_as_responder(session(9, false))), IsEmpty());
  EXPECT_THAT(slots(set_), ElementsAre(1, 0, 9));
}

TEST_F(SessionSetTest, a_responders_session_ends_the_previous_and_an_unconfirmed_one) {
  fill(true, true, false);
  EXPECT_THAT(list(set_.add_as_responder(session(9, false))), ElementsAre(2));
  EXPECT_THAT(slots(set_), ElementsAre(1, 0, 9));
  EXPECT_THAT(list(set_.add_as_responder(session(10, false))), ElementsAre(9));
  EXPECT_THAT(slots(set_), ElementsAre(1, 0, 10));
}

TEST_F(SessionSetTest, the_first_data_confirms_a_responders_session) {
  fill(true, false, true);
  bool confirmed = false;
  EXPECT_THAT(list(set_.received_with(*set_.next(), confirmed)), IsEmpty());
  EXPECT_TRUE(confirmed);
  EXPECT_THAT(slots(set_), ElementsAre(3, 1, 0));

  confirmed = true;
  EXPECT_THAT(list(set_.received_with(*set_.current(), confirmed)), IsEmpty());
  EXPECT_FALSE(confirmed) << "it is confirmed once";
  EXPECT_THAT(slots(set_), ElementsAre(3, 1, 0));
}

TEST_F(SessionSetTest, confirms_the_very_first_session) {
  fill(false, false, true);
  bool confirmed = false;
  EXPECT_THAT(list(set_.received_with(*set_.next(), confirmed)), IsEmpty());
  EXPECT_TRUE(confirmed);
  EXPECT_THAT(slots(set_), ElementsAre(3, 0, 0));
}

TEST_F(SessionSetTest, data_under_older_sessions_confirms_nothing) {
  fill(true, true, false);
  bool confirmed = true;
  EXPECT_THAT(list(set_.received_with(*set_.previous(), confirmed)), IsEmpty());
  EXPECT_FALSE(confirmed);
  static_cast<void>(set_.add_as_responder(session(9, false)));
  confirmed = true;
  EXPECT_THAT(list(set_.received_with(*set_.current(), confirmed)), IsEmpty());
  EXPECT_FALSE(confirmed);
  EXPECT_THAT(slots(set_), ElementsAre(1, 0, 9));
}

TEST_F(SessionSetTest, finds_sessions_in_every_slot_by_their_local_index) {
  fill(true, true, false);
  EXPECT_EQ(set_.find(SessionIndex(1)), set_.current());
  EXPECT_EQ(set_.find(SessionIndex(2)), set_.previous());
  static_cast<void>(set_.add_as_responder(session(9, false)));
  EXPECT_EQ(set_.find(SessionIndex(9)), set_.next());
  EXPECT_EQ(set_.find(SessionIndex(2)), nullptr) << "released";
  EXPECT_EQ(set_.find(SessionIndex(1001)), nullptr) << "a remote index";
}

TEST_F(SessionSetTest, clearing_ends_all) {
  fill(true, false, true);
  EXPECT_THAT(list(set_.clear()), UnorderedElementsAre(1, 3));
  EXPECT_THAT(slots(set_), ElementsAre(0, 0, 0));
  fill(true, true, false);
  EXPECT_THAT(list(set_.clear()), UnorderedElementsAre(1, 2));
  EXPECT_THAT(list(set_.clear()), IsEmpty());
}

}  // namespace
}  // namespace culvert
