// Packets in order, out of order, again and too late.
#include "culvert/bench/arrivals.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <limits>

namespace culvert {
namespace {

std::uint64_t received_of(std::initializer_list<std::uint32_t> sequences) {
  Arrivals arrivals;
  for (const std::uint32_t sequence : sequences) arrivals.take(sequence);
  return arrivals.received();
}

TEST(Arrivals, in_order_are_received_and_nothing_else) {
  EXPECT_EQ(received_of({0, 1, 2, 3}), 4U);
}

TEST(Arrivals, that_are_missing_are_not_received) {
  EXPECT_EQ(received_of({0, 3, 7}), 3U);
}

TEST(Arrivals, that_come_again_count_once) {
  EXPECT_EQ(received_of({0, 1, 1, 0, 0}), 2U);
}

TEST(Arrivals, behind_later_ones_are_received_all_the_same) {
  EXPECT_EQ(received_of({2, 0, 1, 3}), 4U);
  EXPECT_EQ(received_of({1, 2, 3, 0}), 4U);
}

TEST(Arrivals, that_were_overtaken_count_once_too) {
  EXPECT_EQ(received_of({1, 0, 0}), 2U);
}

TEST(Arrivals, are_told_apart_as_far_back_as_the_window_reaches) {
  EXPECT_EQ(received_of({0, Arrivals::window - 1, 0}), 2U);
  EXPECT_EQ(received_of({Arrivals::window, 1, 1}), 2U);
}

TEST(Arrivals, later_than_the_window_count_as_lost) {
  EXPECT_EQ(received_of({0, Arrivals::window, 0}), 2U);
}

TEST(Arrivals, in_order_wrap_around_the_window) {
  Arrivals arrivals;
  for (std::uint32_t sequence = 0; sequence < 3 * Arrivals::window; ++sequence) arrivals.take(sequence);
  EXPECT_EQ(arrivals.received(), 3 * Arrivals::window);
}

TEST(Arrivals, after_a_gap_larger_than_the_window_are_not_taken_for_old_ones) {
  EXPECT_EQ(received_of({5, 5 + 2 * Arrivals::window, 4 + 2 * Arrivals::window, 5 + Arrivals::window}), 3U);
  EXPECT_EQ(received_of({0, std::numeric_limits<std::uint32_t>::max()}), 2U);
}

}  // namespace
}  // namespace culvert
