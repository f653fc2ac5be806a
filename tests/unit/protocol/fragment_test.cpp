// Cutting frames, and pieces that say what cannot be.
#include "culvert/protocol/fragment.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace culvert {
namespace {

using Bytes = std::vector<std::byte>;

Bytes body(std::uint32_t frame, std::size_t offset, std::size_t total, std::size_t piece) {
  Bytes bytes(sizeof(FragmentHeader) + piece, std::byte{7});
  write_fragment_header(bytes.data(), frame, offset, total);
  return bytes;
}

TEST(Fragment, is_read_back) {
  const Bytes bytes = body(0x01020304, 1000, 1514, 514);
  const auto fragment = parse_fragment(bytes);
  ASSERT_TRUE(fragment);
  EXPECT_EQ(fragment->frame, 0x01020304U);
  EXPECT_EQ(fragment->offset, 1000U);
  EXPECT_EQ(fragment->total, 1514U);
  EXPECT_EQ(fragment->piece.data(), bytes.data() + sizeof(FragmentHeader));
  EXPECT_EQ(fragment->piece.size(), 514U);
}

TEST(Fragment, may_be_of_the_largest_frame_and_no_larger) {
  EXPECT_TRUE(parse_fragment(body(1, 0, limits::fragmented_frame_max, 100)));
  const auto larger = parse_fragment(body(1, 0, limits::fragmented_frame_max + 1, 100));
  ASSERT_TRUE(larger.has_error());
  EXPECT_EQ(larger.error(), DropReason::BadFragment);
}

TEST(Fragment, must_end_inside_the_frame) {
  EXPECT_TRUE(parse_fragment(body(1, 900, 1000, 100)));
  EXPECT_TRUE(parse_fragment(body(1, 900, 1000, 101)).has_error());
  EXPECT_TRUE(parse_fragment(body(1, 65535, 1000, 1)).has_error());
  EXPECT_TRUE(parse_fragment(body(1, 0, 0, 1)).has_error());
}

TEST(Fragment, without_a_piece_is_refused) {
  EXPECT_TRUE(parse_fragment(body(1, 0, 1000, 0)).has_error());
  EXPECT_TRUE(parse_fragment(Bytes(sizeof(FragmentHeader) - 1)).has_error());
  EXPECT_TRUE(parse_fragment({}).has_error());
}

TEST(FragmentPlan, covers_each_byte_once_with_as_few_pieces_as_can_be) {
  for (const std::size_t plaintext_max : {1200U, 1220U, 1440U, 8900U}) {
    const std::size_t piece_max = plaintext_max - fragment_overhead;
    for (std::size_t size = 1; size <= limits::fragmented_frame_max; size += 7) {
      const auto plan = FragmentPlan::of(size, plaintext_max);
      ASSERT_TRUE(plan) << size;
      ASSERT_EQ(plan->count(), (size + piece_max - 1) / piece_max);
      std::size_t end = 0;
      for (std::size_t i = 0; i < plan->count(); ++i) {
        ASSERT_EQ(plan->offset(i), end);
        ASSERT_GT(plan->size(i), 0U);
        ASSERT_LE(plan->size(i), piece_max);
        end += plan->size(i);
      }
      ASSERT_EQ(end, size);
    }
  }
}

TEST(FragmentPlan, there_is_none_for_what_cannot_be_put_together_again) {
  EXPECT_FALSE(FragmentPlan::of(0, 1200));
  EXPECT_TRUE(FragmentPlan::of(limits::fragmented_frame_max, 1200));
  EXPECT_FALSE(FragmentPlan::of(limits::fragmented_frame_max + 1, 1200));
  EXPECT_TRUE(FragmentPlan::of(16 * 90, 90 + fragment_overhead));
  EXPECT_FALSE(FragmentPlan::of(16 * 90 + 1, 90 + fragment_overhead));
  EXPECT_FALSE(FragmentPlan::of(100, fragment_overhead));
}

}  // namespace
}  // namespace culvert
