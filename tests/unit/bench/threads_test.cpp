// Threads that are told to stop before they begin.
#include "../../../src/bench/threads.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

namespace culvert {
namespace {

TEST(StopAtEnd, stops_a_thread_that_begins_when_it_is_gone) {
  std::future<bool> future;
  {
    StopAtEnd stop;
    future = stop.in_thread([](const std::stop_token& token) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      return token.stop_requested();
    });
  }
  EXPECT_TRUE(future.get());
}

TEST(SumInThreads, is_that_of_all_calls) {
  EXPECT_EQ(sum_in_threads(1, [](std::size_t) { return std::uint64_t{7}; }), 7U);
  EXPECT_EQ(sum_in_threads(5, [](std::size_t i) { return std::uint64_t{i}; }), 10U);
}

TEST(SumInThreads, throws_what_one_of_them_threw_whichever_it_was) {
  for (const std::size_t bad : {0U, 1U, 2U}) {
    EXPECT_THROW(sum_in_threads(3,
                                [=](std::size_t i) {
                                  if (i == bad) throw std::runtime_error("bad");
                                  return std::uint64_t{1};
                                }),
                 std::runtime_error);
  }
}

}  // namespace
}  // namespace culvert
