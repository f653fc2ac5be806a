// Frames waiting for a session: order, limits, reuse of memory.
#include "culvert/engine/staged_frames.hpp"

#include <gtest/gtest.h>

#include "support/recording_sinks.hpp"

namespace culvert {
namespace {

Bytes numbered(std::size_t number) {
  return Bytes(number % 7 + 1, static_cast<std::byte>(number));
}

Bytes front(const StagedFrames& frames, const StagedQueue& queue) {
  const ByteView view = frames.front(queue);
  return {view.begin(), view.end()};
}

TEST(StagedFrames, keeps_copies_in_order) {
  StagedFrames frames;
  StagedQueue queue;
  for (std::size_t i = 0; i < 10; ++i) {
    Bytes frame = numbered(i);
    EXPECT_EQ(frames.push(queue, frame), 0U);
    frame.assign(frame.size(), std::byte{0xff});
  }
  EXPECT_EQ(queue.size(), 10U);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(front(frames, queue), numbered(i));
    frames.pop(queue);
  }
  EXPECT_TRUE(queue.empty());
}

TEST(StagedFrames, the_oldest_goes_when_a_peer_has_its_maximum) {
  StagedFrames frames;
  StagedQueue queue;
  for (std::size_t i = 0; i < limits::staged_frames_max; ++i) EXPECT_EQ(frames.push(queue, numbered(i)), 0U);
  EXPECT_EQ(frames.push(queue, numbered(128)), 1U);
  EXPECT_EQ(frames.push(queue, numbered(129)), 1U);
  EXPECT_EQ(queue.size(), 128U);
  for (std::size_t i = 2; i < 130; ++i) {
    EXPECT_EQ(front(frames, queue), numbered(i));
    frames.pop(queue);
  }
}

TEST(StagedFrames, queues_do_not_mix) {
  StagedFrames frames;
  StagedQueue one;
  StagedQueue other;
  for (std::size_t i = 0; i < 50; ++i) frames.push(i % 2 == 0 ? one : other, numbered(i));
  for (std::size_t i = 0; i < 50; ++i) {
    StagedQueue& queue = i % 2 == 0 ? one : other;
    EXPECT_EQ(front(frames, queue), numbered(i));
    frames.pop(queue);
  }
}

TEST(StagedFrames, a_full_store_costs_a_newcomer_its_frame) {
  StagedFrames frames(3);
  StagedQueue one;
  StagedQueue other;
  for (std::size_t i = 0; i < 3; ++i) frames.push(one, numbered(i));
  EXPECT_EQ(frames.push(other, numbered(9)), 1U);
  EXPECT_TRUE(other.empty());
  EXPECT_EQ(one.size(), 3U);
}

TEST(StagedFrames, a_full_store_costs_its_owner_the_oldest) {
  StagedFrames frames(3);
  StagedQueue queue;
  for (std::size_t i = 0; i < 3; ++i) frames.push(queue, numbered(i));
  EXPECT_EQ(frames.push(queue, numbered(3)), 1U);
  EXPECT_EQ(queue.size(), 3U);
  EXPECT_EQ(front(frames, queue), numbered(1));
}

TEST(StagedFrames, freed_places_serve_other_queues) {
  StagedFrames frames(3);
  StagedQueue one;
  StagedQueue other;
  for (std::size_t i = 0; i < 3; ++i) frames.push(one, numbered(i));
  EXPECT_EQ(frames.clear(one), 3U);
  EXPECT_TRUE(one.empty());
  for (std::size_t i = 10; i < 13; ++i) EXPECT_EQ(frames.push(other, numbered(i)), 0U);
  EXPECT_EQ(front(frames, other), numbered(10));
}

TEST(StagedFrames, a_queue_works_again_after_running_empty) {
  StagedFrames frames;
  StagedQueue queue;
  for (std::size_t round = 0; round < 3; ++round) {
    frames.push(queue, numbered(round));
    frames.push(queue, numbered(round + 100));
    EXPECT_EQ(front(frames, queue), numbered(round));
    frames.pop(queue);
    EXPECT_EQ(front(frames, queue), numbered(round + 100));
    frames.pop(queue);
    EXPECT_TRUE(queue.empty());
  }
  EXPECT_EQ(frames.clear(queue), 0U);
}

}  // namespace
}  // namespace culvert
