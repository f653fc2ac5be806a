// Which process is which.
#include "culvert/io/process_identity.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

namespace culvert {
namespace {

TEST(ProcessIdentityTest, is_alive_as_long_as_the_process_and_no_longer) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const auto identity = ProcessIdentity::of(child);
  ASSERT_TRUE(identity);
  EXPECT_TRUE(identity->is_alive());
  EXPECT_NE(identity->start_time, 0u);
  EXPECT_FALSE((ProcessIdentity{child, identity->start_time + 1}.is_alive())) << "another process of that number";
  ::kill(child, SIGKILL);
  siginfo_t info;
  ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_FALSE(identity->is_alive()) << "nobody has asked for its status yet";
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(identity->is_alive());
  EXPECT_EQ(ProcessIdentity::of(child), std::nullopt);
}

TEST(ProcessIdentityTest, is_alive_until_the_last_thread_is_dead) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::thread([] { ::pause(); }).detach();
    ::syscall(SYS_exit, 0);
  }
  siginfo_t info;
  const auto identity = ProcessIdentity::of(child);
  ASSERT_TRUE(identity);
  std::string status;
  while (status.find("State:\tZ") == std::string::npos) {
    std::ifstream file("/proc/" + std::to_string(child) + "/status");
    status.assign(std::istreambuf_iterator<char>(file), {});
  }
  EXPECT_TRUE(identity->is_alive()) << "the other thread still holds all that is open";
  std::thread killer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ::kill(child, SIGKILL);
  });
  identity->await_end_if_dying();
  EXPECT_FALSE(identity->is_alive());
  killer.join();
  ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED);
}

TEST(ProcessIdentityTest, waits_for_no_process_that_is_not_dying) {
  const auto began = std::chrono::steady_clock::now();
  ProcessIdentity::self().await_end_if_dying();
  ProcessIdentity{::getpid(), 1}.await_end_if_dying();
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(1500));
}

}  // namespace
}  // namespace culvert
