#include "culvert/bench/result.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(FigureTest, the_median_of_an_even_number_lies_between_the_two_in_the_middle) {
  EXPECT_DOUBLE_EQ((Figure{{4, 1, 3, 2}}.median()), 2.5);
  EXPECT_DOUBLE_EQ((Figure{{9, 1, 3}}.median()), 3);
}

TEST(FigureTest, a_spread_above_half_of_the_median_is_wide) {
  EXPECT_FALSE((Figure{{80, 100, 130}}.is_wide()));
  EXPECT_TRUE((Figure{{80, 100, 131}}.is_wide()));
}

TEST(FigureTest, bounds_are_those_of_all_rounds) {
  const Figure figure{{3, 1, 2}};
  EXPECT_DOUBLE_EQ(figure.least(), 1);
  EXPECT_DOUBLE_EQ(figure.most(), 3);
}

}  // namespace
}  // namespace culvert
