// Timers of the running kernel.
#include "culvert/io/boot_timer.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <chrono>
#include <system_error>
#include <thread>

#include "culvert/io/clock.hpp"
#include "support/expect_system_error.hpp"
#include "support/restrictions.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

bool fires_within(const BootTimer& timer, std::chrono::milliseconds patience) {
  pollfd ready{timer.fd(), POLLIN, 0};
  return ::poll(&ready, 1, static_cast<int>(patience.count())) == 1;
}

TEST(BootTimer, is_off_at_first) {
  EXPECT_FALSE(fires_within(BootTimer(), 20ms));
}

TEST(BootTimer, fires_when_the_time_has_come_and_not_before) {
  BootTimer timer;
  const Timestamp deadline = read_clocks().time + 50ms;
  timer.set(deadline);
  EXPECT_FALSE(fires_within(timer, 0ms) && read_clocks().time < deadline);
  EXPECT_TRUE(fires_within(timer, 5s));
  EXPECT_GE(read_clocks().time, deadline);
}

TEST(BootTimer, fires_at_once_for_a_time_that_has_passed) {
  for (const Timestamp passed : {Timestamp{}, Timestamp(-5s), read_clocks().time - 1s}) {
    BootTimer timer;
    timer.set(passed);
    EXPECT_TRUE(fires_within(timer, 1s)) << passed.time_since_epoch().count();
  }
}

TEST(BootTimer, stays_readable_until_acknowledged) {
  BootTimer timer;
  timer.set(Timestamp{});
  EXPECT_TRUE(fires_within(timer, 1s));
  EXPECT_TRUE(fires_within(timer, 0ms));
  timer.acknowledge();
  EXPECT_FALSE(fires_within(timer, 20ms));
}

TEST(BootTimer, can_be_acknowledged_before_it_fired_without_waiting) {
  BootTimer timer;
  timer.set(read_clocks().time + 1h);
  timer.acknowledge();
  EXPECT_FALSE(fires_within(timer, 0ms));
}

TEST(BootTimer, takes_the_last_time_set_earlier_or_later) {
  BootTimer timer;
  timer.set(read_clocks().time + 1h);
  timer.set(Timestamp{});
  EXPECT_TRUE(fires_within(timer, 1s));
  timer.set(read_clocks().time + 1h);
  EXPECT_FALSE(fires_within(timer, 20ms));
}

TEST(BootTimer, is_switched_off_by_nothing) {
  BootTimer timer;
  timer.set(read_clocks().time + 20ms);
  timer.set(std::nullopt);
  EXPECT_FALSE(fires_within(timer, 60ms));
}

TEST(BootTimer, can_be_set_again_after_it_fired) {
  BootTimer timer;
  for (int i = 0; i < 3; ++i) {
    timer.set(read_clocks().time + 1ms);
    EXPECT_TRUE(fires_within(timer, 5s));
    timer.acknowledge();
  }
}

TEST(BootTimer, is_not_inherited_by_programs_started) {
  EXPECT_NE(::fcntl(BootTimer().fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(BootTimer, says_so_when_there_is_no_descriptor_left) {
  std::thread([] {
    test::fail_system_call(SYS_timerfd_create, EMFILE);
    test::expect_system_error([] { BootTimer(); }, std::errc::too_many_files_open,
                              ::testing::HasSubstr("creating a timer"));
  }).join();
}

}  // namespace
}  // namespace culvert
