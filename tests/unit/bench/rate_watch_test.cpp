// Who keeps to a limit may go on for ever; who does not, is seen.
#include "../../../src/bench/rate_watch.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t rate = 8'000'000;
constexpr double second = 1e6;  // bytes

/// After how many tenths of a second it is seen that this many bytes a second go; 0: not within a minute.
int seen_after(RateWatch& watch, double bytes, RateWatch::Time now) {
  for (int tenths = 1; tenths <= 600; ++tenths) {
    now += 100ms;
    if (!watch.take(bytes / 10, now)) return tenths;
  }
  return 0;
}

TEST(RateWatch, lets_pass_what_keeps_to_the_limit) {
  const RateWatch::Time now{};
  RateWatch watch(rate, now);
  EXPECT_EQ(seen_after(watch, 1.1 * second, now), 0);
}

TEST(RateWatch, sees_what_goes_clearly_faster) {
  const RateWatch::Time now{};
  RateWatch slow(rate, now), fast(rate, now);
  EXPECT_GT(seen_after(slow, 1.5 * second, now), 0);
  EXPECT_LE(seen_after(fast, 10 * second, now), 2);
}

TEST(RateWatch, lets_two_seconds_be_caught_up_on_and_no_more) {
  RateWatch::Time now{};
  RateWatch watch(rate, now);
  now += 1h;
  EXPECT_TRUE(watch.take(2 * second, now));
  EXPECT_FALSE(watch.take(second, now));
}

TEST(RateWatch, has_no_limit_of_zero) {
  RateWatch watch(0, {});
  EXPECT_TRUE(watch.take(1e18, {}));
}

}  // namespace
}  // namespace culvert
