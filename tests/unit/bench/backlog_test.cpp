// Queues that stay, and queues that go.
#include "culvert/bench/backlog.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace culvert {
namespace {

using namespace std::chrono_literals;

/// Of 80 ms in which a packet goes each 100 µs and takes so many microseconds, by clocks that are so far apart.
std::chrono::microseconds backlog_of(const std::function<std::uint32_t(std::uint32_t)>& delay_at,
                                     std::uint32_t clocks_apart = 0) {
  Backlog backlog;
  for (std::uint32_t time = 0; time < 80'000; time += 100) backlog.take(time, time + delay_at(time) + clocks_apart);
  return backlog.value();
}

TEST(Backlog, of_a_way_that_keeps_up_is_none_however_long_it_is) {
  EXPECT_EQ(Backlog().value(), 0us);
  EXPECT_EQ(backlog_of([](std::uint32_t) { return 0; }), 0us);
  EXPECT_EQ(backlog_of([](std::uint32_t) { return 200'000; }), 0us);
}

TEST(Backlog, is_that_of_a_queue_that_grew_until_the_end) {
  const auto growing = [](std::uint32_t time) { return 50 + time / 4; };
  for (const std::uint32_t apart : {0U, 1U << 31, 0xffff'ffffU, 0xffff'f000U}) {
    const auto backlog = backlog_of(growing, apart);
    EXPECT_LE(backlog, 20ms);
    EXPECT_GE(backlog, 17ms) << "of the last 10 ms at the most";
  }
}

TEST(Backlog, of_a_queue_that_emptied_before_the_end_is_none) {
  EXPECT_EQ(backlog_of([](std::uint32_t time) { return time < 60'000 ? 10'000 : 0; }), 0us);
}

TEST(Backlog, is_not_told_by_a_few_packets_that_were_held_up) {
  EXPECT_EQ(backlog_of([](std::uint32_t time) { return time >= 76'000 ? 80'000 - time : 0; }), 0us);
}

TEST(Backlog, is_compared_with_the_quickest_even_if_the_first_was_slow) {
  EXPECT_EQ(backlog_of([](std::uint32_t time) { return time < 1000 ? 9000 : time < 40'000 ? 1000 : 6000; }), 5ms);
}

}  // namespace
}  // namespace culvert
