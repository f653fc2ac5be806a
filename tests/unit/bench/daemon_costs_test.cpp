// What a daemon used up is told only where it is known.
#include "../../../src/bench/daemon_costs.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

namespace culvert {
namespace {

std::string answer_of(pid_t process, unsigned calls) {
  return "listen_port=1\nculvert_pid=" + std::to_string(process) + "\nculvert_system_calls=" + std::to_string(calls) +
         "\nculvert_drop_replayed=3\nerrno=0\n";
}

pid_t process_that_is_gone() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  return child;
}

TEST(DaemonCosts, are_read_from_its_answer) {
  DaemonCosts costs;
  const auto cost = costs.take(answer_of(::getpid(), 10));
  ASSERT_TRUE(cost);
  EXPECT_EQ(cost->system_calls, 10U);
  EXPECT_EQ(cost->drops.at("replayed"), 3U);
  EXPECT_GT(cost->processor.count(), 0);
}

TEST(DaemonCosts, of_a_process_that_cannot_be_seen_are_not_known) {
  DaemonCosts costs;
  EXPECT_FALSE(costs.take(answer_of(process_that_is_gone(), 10)));
  EXPECT_FALSE(costs.take("culvert_system_calls=10\n"));
  EXPECT_FALSE(costs.take(answer_of(0, 10))) << "which would be this process";
}

TEST(DaemonCosts, begin_anew_with_another_daemon) {
  DaemonCosts costs;
  EXPECT_TRUE(costs.take(answer_of(::getpid(), 10)));
  EXPECT_FALSE(costs.take(answer_of(::getpid(), 5))) << "no counter goes back";
  EXPECT_TRUE(costs.take(answer_of(::getpid(), 7)));
}

}  // namespace
}  // namespace culvert
