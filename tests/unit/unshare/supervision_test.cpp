// Programs that run in namespaces of their own as if started by hand.
#include "culvert/unshare/supervision.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "culvert/unshare/mounts.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kind_go = 'g';

/// A program under supervision, and a pipe from its standard output.
class Supervised {
 public:
  explicit Supervised(std::vector<std::string> argv) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    output_.reset(ends[0]);
    NewNamespaces namespaces;
    namespaces.ids = id_map_if_needed(IdMap::Root);
    child_.emplace(UnsharedChild::start(namespaces, [&](Channel& parent) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::close(ends[1]);
      keep_mounts_to_oneself();
      mount_own_proc();
      (void)parent.receive();
      return supervise(parent, signals_, argv);
    }));
    ::close(ends[1]);
    parent_.emplace(*child_, signals_);
    child_->channel().send(kind_go);
  }

  int wait() { return parent_->wait(); }
  /// The next bytes the program prints; waits for them.
  std::string output() {
    std::string text(256, '\0');
    const ssize_t size = ::read(output_.get(), text.data(), text.size());
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }

  HeldSignals signals_;
  std::optional<UnsharedChild> child_;
  std::optional<SupervisedChild> parent_;
  UniqueFd output_;
};

int status_of(std::vector<std::string> argv) {
  return Supervised(std::move(argv)).wait();
}

TEST(Supervision, passes_the_exit_status_through) {
  EXPECT_EQ(status_of({"true"}), 0);
  EXPECT_EQ(status_of({"sh", "-c", "exit 37"}), 37);
}

TEST(Supervision, tells_of_a_death_by_a_signal_as_a_shell_does) {
  EXPECT_EQ(status_of({"sh", "-c", "kill -USR1 $$"}), 128 + SIGUSR1);
  EXPECT_EQ(status_of({"sh", "-c", "kill -KILL $$"}), 128 + SIGKILL);
}

TEST(Supervision, tells_what_is_not_there_from_what_cannot_be_run) {
  Supervised missing({"no-such-program-anywhere"});
  EXPECT_EQ(missing.wait(), status_not_found);
  EXPECT_THAT(missing.parent_->failure(), StartsWith("cannot run 'no-such-program-anywhere'"));
  const test::TemporaryDirectory directory;
  const std::string path = directory.file("plain");
  std::ofstream(path) << "text";
  Supervised refused({path});
  EXPECT_EQ(refused.wait(), status_not_runnable);
  EXPECT_THAT(refused.parent_->failure(), HasSubstr(path));
  Supervised good({"true"});
  (void)good.wait();
  EXPECT_EQ(good.parent_->failure(), "");
}

TEST(Supervision, hands_signals_on) {
  for (const int number : {SIGTERM, SIGHUP, SIGINT, SIGUSR2}) {
    Supervised shell({"sh", "-c", "trap 'exit 7' TERM HUP INT USR2; echo ready; while :; do sleep 0.05; done"});
    ASSERT_EQ(shell.output(), "ready\n");
    ::kill(::getpid(), number);
    EXPECT_EQ(shell.wait(), 7) << number;
  }
}

TEST(Supervision, ends_what_the_program_left_in_the_background) {
  Supervised shell({"sh", "-c", "(trap '' HUP TERM; setsid sleep 1000 & ) & echo started"});
  EXPECT_EQ(shell.output(), "started\n");
  EXPECT_EQ(shell.wait(), 0);
  EXPECT_EQ(shell.output(), "") << "the sleep holds the pipe for as long as it lives";
}

TEST(Supervision, reaps_what_others_left) {
  // As process 1 it is the parent of those whose own have ended; without an end they would fill the process table.
  Supervised shell({"sh", "-c",
                    "for i in 1 2 3; do (sleep 0.01 &) ; done; sleep 0.1; tries=0; while grep -q '^State:.Z' "
                    "/proc/[0-9]*/status && [ $tries -lt 300 ]; do tries=$((tries + 1)); sleep 0.1; done; "
                    "[ $tries -lt 300 ]"});
  EXPECT_EQ(shell.wait(), 0);
}

TEST(Supervision, gives_the_program_the_signals_of_before) {
  std::ifstream status("/proc/self/status");
  std::string own;
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("SigBlk") || line.starts_with("SigIgn")) own += line + "\n";
  }
  Supervised program({"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"});
  EXPECT_EQ(program.output(), own);
  EXPECT_EQ(program.wait(), 0);
}

TEST(Supervision, knows_the_status_also_where_child_signals_are_ignored) {
  struct sigaction before {};
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ASSERT_EQ(::sigaction(SIGCHLD, &ignore, &before), 0);
  EXPECT_EQ(status_of({"sh", "-c", "exit 5"}), 5);
  ::sigaction(SIGCHLD, &before, nullptr);
}

TEST(Supervision, stops_when_the_program_stops_and_goes_on_with_it) {
  const pid_t parent = ::fork();
  if (parent == 0) ::_exit(status_of({"sh", "-c", "kill -STOP $$; exit 9"}));
  int status = 0;
  ASSERT_EQ(::waitpid(parent, &status, WUNTRACED), parent);
  ASSERT_TRUE(WIFSTOPPED(status));
  EXPECT_EQ(WSTOPSIG(status), SIGSTOP);
  ::kill(parent, SIGCONT);
  ASSERT_EQ(::waitpid(parent, &status, 0), parent);
  EXPECT_EQ(shell_status(status), 9);
}

TEST(Supervision, ends_with_137_when_the_supervisor_is_killed) {
  Supervised program({"sh", "-c", "echo ready; sleep 1000"});
  ASSERT_EQ(program.output(), "ready\n");
  ::kill(program.child_->pid(), SIGKILL);
  EXPECT_EQ(program.wait(), 128 + SIGKILL);
  EXPECT_EQ(program.output(), "");
}

TEST(HeldSignals, are_held_and_given_back) {
  sigset_t before{};
  ::sigprocmask(SIG_BLOCK, nullptr, &before);
  {
    HeldSignals held;
    EXPECT_FALSE(held.take());
    ::raise(SIGTERM);
    ::raise(SIGTSTP);
    std::vector<int> taken;
    while (const auto signal = held.take()) {
      taken.push_back(signal->number);
      EXPECT_FALSE(signal->is_from_kernel);
    }
    EXPECT_THAT(taken, ::testing::UnorderedElementsAre(SIGTERM, SIGTSTP));
  }
  sigset_t after{};
  ::sigprocmask(SIG_BLOCK, nullptr, &after);
  for (int number = 1; number < 32; ++number) {
    EXPECT_EQ(::sigismember(&before, number), ::sigismember(&after, number)) << number;
  }
}

}  // namespace
}  // namespace culvert
