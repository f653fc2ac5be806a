// The heap of deadlines, against a plain map.
#include "culvert/engine/deadline_queue.hpp"

#include <gtest/gtest.h>

#include <map>

#include "support/seeded_random.hpp"

namespace culvert {
namespace {

Timestamp at(std::int64_t time) {
  return Timestamp(Timestamp::duration(time));
}

TEST(DeadlineQueue, is_empty_at_first) {
  DeadlineQueue queue;
  EXPECT_FALSE(queue.earliest());
  EXPECT_FALSE(queue.take_due(at(1'000'000)));
}

TEST(DeadlineQueue, gives_a_peer_at_its_deadline_and_not_before) {
  DeadlineQueue queue;
  queue.wake_by(PeerId(3), at(10));
  EXPECT_EQ(queue.earliest(), at(10));
  EXPECT_FALSE(queue.take_due(at(9)));
  EXPECT_EQ(queue.take_due(at(10)), PeerId(3));
  EXPECT_FALSE(queue.take_due(at(10)));
}

TEST(DeadlineQueue, moves_a_deadline_forward_but_never_back) {
  DeadlineQueue queue;
  queue.wake_by(PeerId(0), at(10));
  queue.wake_by(PeerId(0), at(20));
  EXPECT_EQ(queue.earliest(), at(10));
  queue.wake_by(PeerId(0), at(5));
  EXPECT_EQ(queue.earliest(), at(5));
}

TEST(DeadlineQueue, removing_an_unknown_peer_does_nothing) {
  DeadlineQueue queue;
  queue.remove(PeerId(7));
  queue.wake_by(PeerId(1), at(1));
  queue.remove(PeerId(0));
  queue.remove(PeerId(7));
  EXPECT_EQ(queue.earliest(), at(1));
}

TEST(DeadlineQueue, agrees_with_a_model_over_random_operations) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    DeadlineQueue queue;
    std::map<PeerId, Timestamp> model;
    std::int64_t now = 0;
    for (int step = 0; step < 5000; ++step) {
      const PeerId peer(random.next_u32() % 64);
      switch (random.next_u32() % 4) {
        case 0:
          queue.remove(peer);
          model.erase(peer);
          break;
        case 1: {
          now += random.next_u32() % 50;
          while (const auto due = queue.take_due(at(now))) {
            ASSERT_TRUE(model.contains(*due));
            ASSERT_LE(model[*due], at(now));
            model.erase(*due);
          }
          for (const auto& [left, deadline] : model) ASSERT_GT(deadline, at(now)) << left.value();
          break;
        }
        default: {
          const Timestamp deadline = at(now + random.next_u32() % 1000);
          queue.wake_by(peer, deadline);
          const auto [known, is_new] = model.emplace(peer, deadline);
          if (!is_new) known->second = std::min(known->second, deadline);
        }
      }
      std::optional<Timestamp> earliest;
      for (const auto& [left, deadline] : model) {
        if (!earliest || deadline < *earliest) earliest = deadline;
      }
      ASSERT_EQ(queue.earliest(), earliest);
    }
  }
}

}  // namespace
}  // namespace culvert
