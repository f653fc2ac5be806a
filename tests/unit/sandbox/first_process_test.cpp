// What a process does with a signal, according to the kernel.
#include "culvert/sandbox/first_process.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <sstream>

namespace culvert {
namespace {

std::string own_status() {
  std::ostringstream text;
  text << std::ifstream("/proc/thread-self/status").rdbuf();
  return text.str();
}

TEST(FirstProcess, knows_who_handles_and_who_ignores_a_signal) {
  EXPECT_EQ(action_on(SIGUSR1, own_status()), SignalAction::Default);
  const auto usr1 = ::signal(SIGUSR1, [](int) {});
  const auto usr2 = ::signal(SIGUSR2, SIG_IGN);
  EXPECT_EQ(action_on(SIGUSR1, own_status()), SignalAction::Handled);
  EXPECT_EQ(action_on(SIGUSR2, own_status()), SignalAction::Ignored);
  ::signal(SIGUSR1, usr1);
  ::signal(SIGUSR2, usr2);
}

TEST(FirstProcess, takes_a_blocked_signal_for_one_that_will_be_handled) {
  sigset_t blocked, before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGRTMAX);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  EXPECT_EQ(action_on(SIGRTMAX, own_status()), SignalAction::Handled);
  EXPECT_EQ(action_on(SIGTERM, own_status()), SignalAction::Default);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(FirstProcess, takes_a_process_that_is_gone_for_one_with_the_defaults) {
  EXPECT_EQ(action_on(SIGTERM, ""), SignalAction::Default);
}

}  // namespace
}  // namespace culvert
