// Pieces in any order, with loss and duplicates; and what a peer may not do with them.
#include "culvert/protocol/reassembler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace culvert {
namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<std::byte>;

Bytes frame_of(std::size_t size, std::uint32_t seed) {
  Bytes frame(size);
  for (std::byte& byte : frame) {
    seed = seed * 1664525 + 1013904223;  // Numerical Recipes, section 7.1
    byte = static_cast<std::byte>(seed >> 24);
  }
  return frame;
}

class ReassemblerTest : public testing::Test {
 protected:
  Reassembler::Outcome add(ReassemblyPlace& place, std::uint32_t number, const Bytes& frame, std::size_t offset,
                           std::size_t size) {
    return reassembler_.add(place, {number, offset, frame.size(), ByteView(frame).subspan(offset, size), false}, now_);
  }
  static Bytes copied(ByteView view) { return {view.begin(), view.end()}; }

  Reassembler reassembler_;
  ReassemblyPlace peer_;
  Timestamp now_{1h};
};

TEST_F(ReassemblerTest, puts_two_pieces_together_in_either_order) {
  const Bytes frame = frame_of(1514, 1);
  EXPECT_TRUE(add(peer_, 1, frame, 0, 800).frame.empty());
  EXPECT_EQ(copied(add(peer_, 1, frame, 800, 714).frame), frame);
  EXPECT_TRUE(add(peer_, 2, frame, 800, 714).frame.empty());
  EXPECT_EQ(copied(add(peer_, 2, frame, 0, 800).frame), frame);
}

TEST_F(ReassemblerTest, yields_a_frame_that_is_one_piece_at_once) {
  const Bytes frame = frame_of(100, 1);
  EXPECT_EQ(copied(add(peer_, 1, frame, 0, 100).frame), frame);
}

TEST_F(ReassemblerTest, puts_any_frames_together_whatever_order_loss_and_duplicates_do_to_pieces) {
  std::minstd_rand engine(7);
  const auto dice = [&engine] { return static_cast<std::uint32_t>(engine()); };
  std::size_t completed = 0;
  for (int round = 0; round < 300; ++round) {
    struct Piece {
      std::uint32_t number;
      std::size_t offset;
      std::size_t size;
    };
    std::vector<Bytes> frames;
    std::vector<Piece> pieces;
    std::vector<std::size_t> lost(limits::reassembled_frames_max, 0);
    const std::uint32_t first = dice();
    for (std::uint32_t i = 0; i < limits::reassembled_frames_max; ++i) {
      frames.push_back(frame_of(1 + dice() % limits::fragmented_frame_max, dice()));
      const auto plan = FragmentPlan::of(frames.back().size(), 1200 + dice() % 9000);
      for (std::size_t j = 0; j < plan->count(); ++j) {
        if (dice() % 20 == 0) {
          ++lost[i];
          continue;
        }
        pieces.push_back({first + i, plan->offset(j), plan->size(j)});
        if (dice() % 10 == 0) pieces.push_back(pieces.back());
      }
    }
    std::ranges::shuffle(pieces, engine);
    std::vector<std::size_t> yielded(frames.size(), 0);
    for (const Piece& piece : pieces) {
      const Bytes& frame = frames[piece.number - first];
      const auto outcome = add(peer_, piece.number, frame, piece.offset, piece.size);
      if (outcome.frame.empty()) continue;
      ASSERT_EQ(copied(outcome.frame), frame);
      ++yielded[piece.number - first];
      ++completed;
    }
    for (std::size_t i = 0; i < frames.size(); ++i) {
      // A duplicate behind the last piece begins a frame that nothing completes but more duplicates.
      EXPECT_TRUE(lost[i] == 0 || yielded[i] == 0);
    }
    now_ += limits::reassembly_time;
  }
  EXPECT_GT(completed, 1000U);
  EXPECT_EQ(reassembler_.place_count(), 1U);
}

TEST_F(ReassemblerTest, a_frame_is_congested_when_one_of_its_pieces_was) {
  const Bytes frame = frame_of(1500, 1);
  for (const int marked : {0, 1, 2}) {
    Reassembler::Outcome outcome;
    for (const int piece : {1, 2}) {
      const std::size_t offset = piece == 1 ? 0 : 750;
      outcome = reassembler_.add(
          peer_, {1, offset, frame.size(), ByteView(frame).subspan(offset, 750), piece == marked}, now_);
    }
    EXPECT_EQ(outcome.frame.size(), 1500U);
    EXPECT_EQ(outcome.is_congested, marked != 0);
  }
}

TEST_F(ReassemblerTest, refuses_pieces_that_overlap_and_completes_the_frame_all_the_same) {
  const Bytes frame = frame_of(1500, 1);
  const Bytes forged = frame_of(1500, 2);
  add(peer_, 1, frame, 500, 500);
  for (const auto& [offset, size] : {std::pair{500, 500}, {0, 501}, {999, 501}, {600, 10}, {0, 1500}}) {
    const auto outcome = add(peer_, 1, forged, static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
    EXPECT_EQ(outcome.refused, DropReason::FragmentOverlap);
    EXPECT_TRUE(outcome.frame.empty());
  }
  EXPECT_FALSE(add(peer_, 1, frame, 0, 500).refused);
  EXPECT_EQ(copied(add(peer_, 1, frame, 1000, 500).frame), frame);
}

TEST_F(ReassemblerTest, refuses_a_piece_that_says_another_size_of_the_frame) {
  const Bytes frame = frame_of(1500, 1);
  const Bytes longer = frame_of(1501, 1);
  add(peer_, 1, frame, 0, 500);
  EXPECT_EQ(add(peer_, 1, longer, 500, 500).refused, DropReason::BadFragment);
  EXPECT_EQ(copied(add(peer_, 1, frame, 500, 1000).frame), frame);
}

TEST_F(ReassemblerTest, refuses_more_pieces_than_a_frame_can_have) {
  const Bytes frame = frame_of(1500, 1);
  for (std::size_t i = 0; i < limits::fragments_max; ++i) EXPECT_FALSE(add(peer_, 1, frame, i, 1).refused);
  EXPECT_EQ(add(peer_, 1, frame, 100, 1).refused, DropReason::FragmentOverlap);
}

TEST_F(ReassemblerTest, gives_up_what_is_incomplete_after_its_time) {
  const Bytes frame = frame_of(1500, 1);
  add(peer_, 1, frame, 0, 1000);
  now_ += limits::reassembly_time - 1ns;
  EXPECT_EQ(add(peer_, 2, frame, 0, 1000).given_up, 0U);
  now_ += 1ns;
  EXPECT_EQ(add(peer_, 3, frame, 0, 1000).given_up, 1U);
  EXPECT_TRUE(add(peer_, 1, frame, 1000, 500).frame.empty());
  EXPECT_EQ(copied(add(peer_, 3, frame, 1000, 500).frame), frame);
}

TEST_F(ReassemblerTest, gives_up_the_oldest_of_a_peer_for_its_newest) {
  const Bytes frame = frame_of(1500, 1);
  for (std::uint32_t i = 0; i < limits::reassembled_frames_max; ++i) {
    EXPECT_EQ(add(peer_, i, frame, 0, 1000).given_up, 0U);
    now_ += 1ms;
  }
  EXPECT_EQ(add(peer_, 100, frame, 0, 1000).given_up, 1U);
  EXPECT_EQ(copied(add(peer_, 100, frame, 1000, 500).frame), frame);
  for (std::uint32_t i = 1; i < limits::reassembled_frames_max; ++i) {
    EXPECT_EQ(copied(add(peer_, i, frame, 1000, 500).frame), frame) << i;
  }
}

TEST_F(ReassemblerTest, no_peer_can_push_out_frames_of_another) {
  const Bytes frame = frame_of(1500, 1);
  add(peer_, 1, frame, 0, 1000);
  ReassemblyPlace other;
  for (std::uint32_t i = 0; i < 10'000; ++i) add(other, i, frame, 0, 1000);
  EXPECT_EQ(copied(add(peer_, 1, frame, 1000, 500).frame), frame);
  EXPECT_EQ(reassembler_.place_count(), 2U);
}

TEST_F(ReassemblerTest, frames_of_two_peers_with_one_number_do_not_mix) {
  const Bytes mine = frame_of(1500, 1);
  const Bytes theirs = frame_of(1500, 2);
  ReassemblyPlace other;
  add(peer_, 1, mine, 0, 1000);
  add(other, 1, theirs, 0, 1000);
  EXPECT_EQ(copied(add(peer_, 1, mine, 1000, 500).frame), mine);
  EXPECT_EQ(copied(add(other, 1, theirs, 1000, 500).frame), theirs);
}

TEST_F(ReassemblerTest, memory_ends_somewhere_and_is_used_again) {
  const Bytes frame = frame_of(1500, 1);
  std::vector<ReassemblyPlace> peers(limits::reassembling_peers_max);
  for (ReassemblyPlace& each : peers) EXPECT_FALSE(add(each, 1, frame, 0, 1000).refused);
  EXPECT_EQ(add(peer_, 1, frame, 0, 1000).refused, DropReason::ReassemblyFull);
  EXPECT_EQ(reassembler_.place_count(), limits::reassembling_peers_max);
  // Who sends nothing for a while gives it up.
  now_ += limits::reassembly_time;
  const auto outcome = add(peer_, 1, frame, 0, 1000);
  EXPECT_FALSE(outcome.refused);
  EXPECT_EQ(outcome.given_up, 1U);
  EXPECT_EQ(copied(add(peer_, 1, frame, 1000, 500).frame), frame);
  EXPECT_EQ(reassembler_.place_count(), limits::reassembling_peers_max);
  // There is one more who sends than there are places.
  EXPECT_EQ(std::ranges::count_if(peers, [&](auto& each) { return add(each, 2, frame, 0, 1000).refused.has_value(); }),
            1);
}

TEST_F(ReassemblerTest, a_peer_that_lost_its_place_does_not_find_the_frames_of_another_there) {
  const Bytes mine = frame_of(1500, 1);
  const Bytes theirs = frame_of(1500, 2);
  ReassemblyPlace other;
  add(peer_, 1, mine, 0, 1000);
  now_ += limits::reassembly_time;
  add(other, 1, theirs, 0, 1000);
  EXPECT_EQ(reassembler_.place_count(), 1U);
  EXPECT_TRUE(add(peer_, 1, mine, 1000, 500).frame.empty());
  EXPECT_EQ(copied(add(other, 1, theirs, 1000, 500).frame), theirs);
}

TEST_F(ReassemblerTest, what_a_peer_leaves_behind_is_free_at_once) {
  const Bytes frame = frame_of(1500, 1);
  add(peer_, 1, frame, 0, 1000);
  add(peer_, 2, frame, 0, 1000);
  EXPECT_EQ(reassembler_.release(peer_), 2U);
  EXPECT_EQ(reassembler_.release(peer_), 0U);
  ReassemblyPlace other;
  EXPECT_EQ(add(other, 1, frame, 0, 1000).given_up, 0U);
  EXPECT_EQ(reassembler_.place_count(), 1U);
}

}  // namespace
}  // namespace culvert
