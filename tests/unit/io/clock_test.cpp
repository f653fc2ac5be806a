// What the clocks say.
#include "culvert/io/clock.hpp"

#include <gtest/gtest.h>

#include <ctime>

namespace culvert {
namespace {

std::chrono::nanoseconds kernel_clock(clockid_t clock) {
  timespec value{};
  EXPECT_EQ(::clock_gettime(clock, &value), 0);
  return std::chrono::seconds(value.tv_sec) + std::chrono::nanoseconds(value.tv_nsec);
}

TEST(Clock, time_is_the_kernels_time_since_boot_with_suspend) {
  const auto before = kernel_clock(CLOCK_BOOTTIME);
  const Now now = read_clocks();
  const auto after = kernel_clock(CLOCK_BOOTTIME);
  EXPECT_LE(before, now.time.time_since_epoch());
  EXPECT_GE(after, now.time.time_since_epoch());
}

TEST(Clock, wall_time_is_the_kernels_calendar_time) {
  const auto before = kernel_clock(CLOCK_REALTIME);
  const Now now = read_clocks();
  const auto after = kernel_clock(CLOCK_REALTIME);
  EXPECT_LE(before, now.wall.time_since_epoch());
  EXPECT_GE(after, now.wall.time_since_epoch());
}

}  // namespace
}  // namespace culvert
