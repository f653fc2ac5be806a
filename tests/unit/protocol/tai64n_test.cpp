// Timestamps are rounded, ordered as bytes and always grow.
#include "culvert/protocol/tai64n.hpp"

#include <gtest/gtest.h>

#include <cstdint>

#include "support/hex.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

constexpr auto tick = std::chrono::nanoseconds(1 << 24);

WallTime wall(std::chrono::nanoseconds since_1970) {
  return WallTime(since_1970);
}
std::string text(const Tai64n& timestamp) {
  return to_hex(timestamp.bytes());
}

Tai64n timestamp_of(std::string_view hex) {
  std::array<std::byte, 12> bytes;
  copy_bytes(from_hex(hex), bytes);
  return Tai64n(bytes);
}

TEST(Tai64n, begins_1970_ten_seconds_after_2_to_the_62) {
  EXPECT_EQ(text(Tai64n::from(wall(0s))), "400000000000000a00000000");
  EXPECT_EQ(text(Tai64n::from(wall(1700000000s))), "400000006553f10a00000000");
}

TEST(Tai64n, rounds_nanoseconds_down_to_its_granularity) {
  EXPECT_EQ(text(Tai64n::from(wall(tick - 1ns))), "400000000000000a00000000");
  EXPECT_EQ(text(Tai64n::from(wall(tick))), "400000000000000a01000000");
  EXPECT_EQ(text(Tai64n::from(wall(tick + 1ns))), "400000000000000a01000000");
  EXPECT_EQ(text(Tai64n::from(wall(1s - 1ns))), "400000000000000a3b000000");
  EXPECT_EQ(text(Tai64n::from(wall(1s))), "400000000000000b00000000");
}

TEST(Tai64n, takes_times_before_1970_for_1970) {
  EXPECT_EQ(Tai64n::from(wall(-1ns)), Tai64n::from(wall(0s)));
  EXPECT_EQ(Tai64n::from(wall(-100h)), Tai64n::from(wall(0s)));
}

TEST(Tai64n, orders_as_bytes) {
  EXPECT_LT(Tai64n(), Tai64n::from(wall(0s)));
  EXPECT_LT(timestamp_of("400000000000000a3b000000"), timestamp_of("400000000000000b00000000"));
  EXPECT_LT(timestamp_of("7f0000000000000000000000"), timestamp_of("800000000000000000000000"));
}

TEST(Tai64n, next_is_one_tick_later) {
  EXPECT_EQ(text(timestamp_of("400000000000000a00000000").next()), "400000000000000a01000000");
  EXPECT_EQ(text(timestamp_of("400000000000000a39000000").next()), "400000000000000a3a000000");
}

TEST(Tai64n, next_carries_into_seconds) {
  EXPECT_EQ(text(timestamp_of("400000000000000a3a000000").next()), "400000000000000a3b000000");
  EXPECT_EQ(text(timestamp_of("400000000000000a3b000000").next()), "400000000000000b00000000");
  EXPECT_EQ(text(timestamp_of("40000000ffffffff3b000000").next()), "400000010000000000000000");
}

TEST(Tai64n, next_of_any_bytes_is_greater_and_well_formed) {
  EXPECT_EQ(text(timestamp_of("400000000000000a00ffffff").next()), "400000000000000a01000000");
  EXPECT_EQ(text(timestamp_of("400000000000000a3b9ac9ff").next()), "400000000000000b00000000");
  EXPECT_EQ(text(timestamp_of("400000000000000affffffff").next()), "400000000000000b00000000");
}

TEST(Tai64nSource, follows_the_clock) {
  Tai64nSource source;
  EXPECT_EQ(source.next(wall(100s)), Tai64n::from(wall(100s)));
  EXPECT_EQ(source.next(wall(200s)), Tai64n::from(wall(200s)));
  EXPECT_EQ(source.last(), Tai64n::from(wall(200s)));
}

TEST(Tai64nSource, grows_while_the_clock_stands_still) {
  Tai64nSource source;
  Tai64n last = source.next(wall(100s));
  for (int i = 0; i < 200; ++i) {
    const Tai64n next = source.next(wall(100s));
    ASSERT_EQ(next, last.next());
    ASSERT_GT(next, last);
    last = next;
  }
}

TEST(Tai64nSource, grows_when_the_clock_is_set_back) {
  Tai64nSource source;
  const Tai64n future = source.next(wall(1000000s));
  EXPECT_EQ(source.next(wall(100s)), future.next());
}

TEST(Tai64nSource, continues_above_what_was_restored) {
  const Tai64n earlier_life = Tai64n::from(wall(5000s));
  Tai64nSource source;
  source.restore(earlier_life);
  EXPECT_EQ(source.last(), earlier_life);
  EXPECT_EQ(source.next(wall(100s)), earlier_life.next());
}

TEST(Tai64nSource, never_goes_back_to_what_was_restored) {
  Tai64nSource source;
  const Tai64n last = source.next(wall(5000s));
  source.restore(Tai64n::from(wall(100s)));
  EXPECT_EQ(source.next(wall(0s)), last.next());
}

}  // namespace
}  // namespace culvert
