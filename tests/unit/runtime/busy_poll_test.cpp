// Looking for work before sleeping.
#include "culvert/runtime/busy_poll.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "culvert/runtime/device_setup.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

TEST(SpinLength, is_twice_the_usual_gap) {
  SpinLength spin(50us);
  for (int i = 0; i < 200; ++i) spin.gap(10us);
  EXPECT_GE(spin.get(), 19us);
  EXPECT_LE(spin.get(), 22us);
}

TEST(SpinLength, is_never_longer_than_allowed) {
  SpinLength spin(50us);
  for (int i = 0; i < 200; ++i) spin.gap(40us);
  EXPECT_EQ(spin.get(), 50us);
}

TEST(SpinLength, is_nothing_where_gaps_are_longer_than_it_may_be) {
  SpinLength spin(50us);
  for (int i = 0; i < 200; ++i) spin.gap(10ms);
  EXPECT_EQ(spin.get(), 0us);
}

TEST(SpinLength, comes_back_when_packets_come_fast_again) {
  SpinLength spin(50us);
  for (int i = 0; i < 200; ++i) spin.gap(10ms);
  for (int i = 0; i < 30; ++i) spin.gap(5us);
  EXPECT_GT(spin.get(), 0us);
}

TEST(BusyPoll, is_what_was_chosen_and_otherwise_nothing_on_few_processors) {
  EXPECT_EQ(busy_poll_of(0), 0us);
  EXPECT_EQ(busy_poll_of(7), 7us);
  EXPECT_EQ(busy_poll_of(std::nullopt), processors_allowed() > 2 ? 50us : 0us);
}

class RunBusily : public ::testing::TestWithParam<std::chrono::microseconds> {};

TEST_P(RunBusily, runs_what_is_posted_and_what_is_timed_and_ends_when_stopped) {
  boost::asio::io_context io(1);
  const auto guard = boost::asio::make_work_guard(io);
  int posted = 0;
  boost::asio::post(io, [&] { ++posted; });
  boost::asio::steady_timer timer(io, 20ms);
  timer.async_wait([&](boost::system::error_code) {
    ++posted;
    boost::asio::post(io, [&] { io.stop(); });
  });
  run_busily(io, GetParam());
  EXPECT_EQ(posted, 2);
}

INSTANTIATE_TEST_SUITE_P(, RunBusily, ::testing::Values(0us, 20us, 1000us),
                         [](const auto& chosen) { return std::to_string(chosen.param.count()) + "us"; });

TEST(BusyPoll, sleeps_when_nothing_comes_for_long) {
  boost::asio::io_context io(1);
  boost::asio::steady_timer timer(io, 300ms);
  timer.async_wait([&](boost::system::error_code) { io.stop(); });
  rusage before{};
  rusage after{};
  ::getrusage(RUSAGE_THREAD, &before);
  run_busily(io, 1000us);
  ::getrusage(RUSAGE_THREAD, &after);
  const auto used =
      (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1'000'000 + after.ru_utime.tv_usec - before.ru_utime.tv_usec;
  EXPECT_LT(used, 150'000);
}

}  // namespace
}  // namespace culvert
