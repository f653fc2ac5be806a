// Programs run for the user, and what they see of us.
#include "culvert/quick/program.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <system_error>
#include <thread>

#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using test::TemporaryDirectory;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string content_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class ProgramTest : public ::testing::Test {
 protected:
  /// What a hook prints.
  std::string said_by(const std::string& hook) {
    EXPECT_EQ(runner_.run_hook("{ " + hook + "\n} > " + directory_.file("out")), 0) << hook;
    return content_of(directory_.file("out"));
  }
  TemporaryDirectory directory_;
  ProgramRunner runner_{"wg=0"};
};

TEST_F(ProgramTest, tells_the_status_with_which_a_program_ended) {
  EXPECT_EQ(runner_.run({"/bin/sh", "-c", "exit 0"}), 0);
  EXPECT_EQ(runner_.run({"/bin/sh", "-c", "exit 7"}), 7);
  EXPECT_EQ(runner_.run({"/bin/sh", "-c", "kill -KILL $$"}), 128 + SIGKILL);
}

TEST_F(ProgramTest, says_which_program_cannot_be_started) {
  try {
    (void)runner_.run({"/nowhere/program"});
    ADD_FAILURE() << "started what is not there";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    EXPECT_THAT(error.what(), HasSubstr("/nowhere/program"));
  }
}

TEST_F(ProgramTest, gives_arguments_as_they_are) {
  EXPECT_EQ(runner_.run({"/bin/sh", "-c", "test \"$1\" = '; exit 9 $(id) `id`'", "sh", "; exit 9 $(id) `id`"}), 0);
}

TEST_F(ProgramTest, gives_input) {
  EXPECT_EQ(runner_.run({"/bin/sh", "-c", "test \"$(cat)\" = \"some text\""}, "some text"), 0);
  EXPECT_EQ(runner_.run({"/bin/sh", "-c", "test -z \"$(cat)\""}, ""), 0);
  EXPECT_EQ(runner_.run({"/bin/true"}, std::string(1 << 20, 'x')), 0) << "also when it is not read";
}

TEST_F(ProgramTest, passes_on_no_descriptor_but_the_standard_ones) {
  const int inheritable = ::open("/dev/null", O_RDONLY);
  ASSERT_GE(inheritable, 3);
  EXPECT_EQ(said_by("ls /proc/self/fd | grep -vx -e 0 -e 1 -e 2 | wc -l"), "1\n") << "the one ls reads the folder by";
  ::close(inheritable);
}

TEST_F(ProgramTest, passes_on_no_environment_but_the_documented) {
  ::setenv("CULVERT_TEST_SECRET", "secret", 1);
  ::setenv("BASH_ENV", "/nowhere", 1);
  ::setenv("LD_PRELOAD_X", "x", 1);
  const std::string variables = said_by("tr '\\0' '\\n' < /proc/$$/environ | sed 's/=.*//' | sort | tr '\\n' ' '");
  EXPECT_THAT(variables, ::testing::AnyOf("CULVERT_DEVICE HOME LC_ALL PATH TERM ", "CULVERT_DEVICE HOME LC_ALL PATH "));
  ::unsetenv("CULVERT_TEST_SECRET");
  ::unsetenv("BASH_ENV");
}

TEST_F(ProgramTest, does_not_pass_on_our_search_path) {
  const std::string before = ::getenv("PATH");
  ::setenv("PATH", directory_.path().c_str(), 1);
  EXPECT_EQ(said_by("echo $PATH"), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
  ::setenv("PATH", before.c_str(), 1);
}

TEST_F(ProgramTest, passes_on_no_blocked_or_ignored_signal) {
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  sigset_t blocked;
  sigset_t old;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &old);
  EXPECT_EQ(runner_.run({"/bin/sh", "-c", "kill -TERM $$; exit 0"}), 128 + SIGTERM);
  EXPECT_EQ(runner_.run({"/bin/sh", "-c", "kill -PIPE $$; exit 0"}), 128 + SIGPIPE);
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
  ::signal(SIGPIPE, before);
}

TEST_F(ProgramTest, puts_the_devices_name_for_each_percent_i) {
  EXPECT_EQ(said_by("echo %i x%i.%i $CULVERT_DEVICE 100% %I"), "wg=0 xwg=0.wg=0 wg=0 100% %I\n");
}

TEST_F(ProgramTest, runs_hooks_as_wg_quick_does) {
  EXPECT_NE(runner_.run_hook("false; true"), 0) << "the first failure counts";
  EXPECT_NE(runner_.run_hook("false | true"), 0) << "also inside a pipe";
  EXPECT_EQ(runner_.run_hook("[[ wg0 == wg+([0-9]) ]]"), 0) << "extended patterns";
}

TEST_F(ProgramTest, ends_what_runs_when_interrupted_and_starts_nothing_more) {
  std::thread interrupter([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    runner_.interrupt();
  });
  EXPECT_EQ(runner_.run({"/bin/sleep", "60"}), 128 + SIGTERM);
  interrupter.join();
  EXPECT_THROW((void)runner_.run({"/bin/true"}), std::system_error);
  runner_.resume();
  EXPECT_EQ(runner_.run({"/bin/true"}), 0);
}

TEST_F(ProgramTest, ends_only_what_runs_now_if_so_told) {
  std::thread interrupter([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    runner_.interrupt_current();
  });
  EXPECT_EQ(runner_.run({"/bin/sleep", "60"}), 128 + SIGTERM);
  interrupter.join();
  EXPECT_EQ(runner_.run({"/bin/true"}), 0);
  runner_.interrupt_current();
}

TEST(WithoutKeys, hides_what_is_as_long_as_a_key_and_shows_the_rest) {
  const std::string key = "YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
  EXPECT_EQ(without_keys("wg set %i private-key <(echo " + key + ")"), "wg set %i private-key <(echo (hidden))");
  EXPECT_EQ(without_keys(key.substr(0, 43)), "(hidden)");
  EXPECT_EQ(without_keys(key.substr(0, 42)), key.substr(0, 42));
  EXPECT_EQ(without_keys(""), "");
  EXPECT_THAT(without_keys("a\nb\x1b"), AllOf(Not(HasSubstr("\n")), Not(HasSubstr("\x1b"))));
}

}  // namespace
}  // namespace culvert
