#include "culvert/bench/arrivals.hpp"

#include <gmock/gmock.h>

#include <initializer_list>
#include <limits>

namespace culvert {
namespace {

using ::testing::FieldsAre;

struct Counts {
  std::uint64_t received, duplicates, reordered;
};

Counts after(std::initializer_list<std::uint32_t> sequences) {
  Arrivals arrivals;
  for (const std::uint32_t sequence : sequences) arrivals.take(sequence);
  return {arrivals.received(), arrivals.duplicates(), arrivals.reordered()};
}

TEST(Arrivals, in_order_are_received_and_nothing_else) {
  EXPECT_THAT(after({0, 1, 2, 3}), FieldsAre(4, 0, 0));
}

TEST(Arrivals, that_are_missing_are_not_received) {
  EXPECT_THAT(after({0, 3, 7}), FieldsAre(3, 0, 0));
}

TEST(Arrivals, that_come_again_are_duplicates_once_for_each_time) {
  EXPECT_THAT(after({0, 1, 1, 0, 0}), FieldsAre(2, 3, 0));
}

TEST(Arrivals, behind_a_later_one_are_reordered_however_many_overtook_them) {
  EXPECT_THAT(after({2, 0, 1, 3}), FieldsAre(4, 0, 2));
  EXPECT_THAT(after({1, 2, 3, 0}), FieldsAre(4, 0, 1));
}

TEST(Arrivals, that_were_reordered_may_come_again) {
  EXPECT_THAT(after({1, 0, 0}), FieldsAre(2, 1, 1));
}

TEST(Arrivals, are_told_apart_as_far_back_as_the_window_reaches) {
  EXPECT_THAT(after({0, Arrivals::window - 1, 0}), FieldsAre(2, 1, 0));
  EXPECT_THAT(after({Arrivals::window, 1, 1}), FieldsAre(2, 1, 1));
}

TEST(Arrivals, later_than_the_window_count_as_lost) {
  EXPECT_THAT(after({0, Arrivals::window, 0}), FieldsAre(2, 0, 0));
}

TEST(Arrivals, in_order_wrap_around_the_window) {
  Arrivals arrivals;
  for (std::uint32_t sequence = 0; sequence < 3 * Arrivals::window; ++sequence) arrivals.take(sequence);
  EXPECT_EQ(arrivals.received(), 3 * Arrivals::window);
  EXPECT_EQ(arrivals.duplicates(), 0U);
}

TEST(Arrivals, after_a_gap_larger_than_the_window_are_not_taken_for_old_ones) {
  EXPECT_THAT(after({5, 5 + 2 * Arrivals::window, 4 + 2 * Arrivals::window, 5 + Arrivals::window}), FieldsAre(3, 0, 1));
  EXPECT_THAT(after({0, std::numeric_limits<std::uint32_t>::max()}), FieldsAre(2, 0, 0));
}

}  // namespace
}  // namespace culvert
