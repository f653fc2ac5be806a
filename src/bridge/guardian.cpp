// The guardian's life.
#include "culvert/bridge/guardian.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <system_error>

#include "culvert/io/boot_timer.hpp"
#include "culvert/io/clock.hpp"

namespace culvert {

namespace {

constexpr int look_interval = 500;  // milliseconds, to notice that it is confirmed
constexpr unsigned lock_patience = 500;
constexpr unsigned attempts_max = 3;

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

void write_line(const std::string& text) {
  const std::string line = text + "\n";
  // Where the line cannot go there is nobody to tell.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

// What is kept are the standard streams, `first` and `second`, and nothing that whoever waits for the caller's end
// would wait for.
void close_all_but(int first, int second) {
  const auto low = static_cast<unsigned>(std::min(first, second));
  const auto high = static_cast<unsigned>(std::max(first, second));
  if (low > 3) ::syscall(SYS_close_range, 3U, low - 1, 0U);
  if (high > low + 1) ::syscall(SYS_close_range, low + 1, high - 1, 0U);
  ::syscall(SYS_close_range, high + 1, ~0U, 0U);
}

void redirect_streams(const std::string& log_path) {
  const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const UniqueFd log(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!nothing.is_open()) return;
  ::dup2(nothing.get(), STDIN_FILENO);
  ::dup2(nothing.get(), STDOUT_FILENO);
  ::dup2(log.is_open() ? log.get() : nothing.get(), STDERR_FILENO);
}

void outlive_others() {
  ::mlockall(MCL_CURRENT);
  const UniqueFd score(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  constexpr std::string_view spared = "-1000";
  [[maybe_unused]] const auto written = score.is_open() ? ::write(score.get(), spared.data(), spared.size()) : 0;
}

void keep_net_admin_alone() {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  sets[0].effective = sets[0].permitted = 1U << CAP_NET_ADMIN;
  // Who has not even that cannot have made a bridge.
  ::syscall(SYS_capset, &header, sets.data());
}

class Watch {
 public:
  Watch(BridgeJournal journal, const BridgeJournals& folder, const BridgeStep& before_step, int lifeline)
      : journal_(std::move(journal)), folder_(folder), before_step_(before_step), lifeline_(lifeline) {
    timer_.set(journal_.deadline);
  }

  void run() {
    while (wait()) {
      const auto written = look();
      if (!is_to_be_guarded(written)) return;
      journal_ = *written;
      timer_.set(journal_.deadline);
      const bool is_late = read_clocks().time >= journal_.deadline.value_or(Timestamp());
      const bool is_orphan = has_applier_ended_ && journal_.state == BridgeJournal::State::Applying;
      if ((is_late || is_orphan) && act(is_late ? "nobody has confirmed in time" : "the process at it was killed"))
        return;
    }
  }

 private:
  // False when there is no waiting any more.
  bool wait() {
    std::array<pollfd, 2> ready{{{timer_.fd(), POLLIN, 0}, {has_applier_ended_ ? -1 : lifeline_.get(), POLLIN, 0}}};
    if (::poll(ready.data(), ready.size(), look_interval) < 0 && errno != EINTR) fail("waiting");
    has_applier_ended_ = has_applier_ended_ || ready[1].revents != 0;
    return attempts_ < attempts_max;
  }

  std::optional<BridgeJournal> look() const {
    try {
      return folder_.read(journal_.nic.name);
    } catch (const std::exception& error) {
      // What was read at first is as good.
      write_line(error.what());
      return journal_;
    }
  }

  // A later attachment of the same NIC has a guardian of its own, or will have.
  [[nodiscard]] bool is_to_be_guarded(const std::optional<BridgeJournal>& written) const {
    return written && written->state != BridgeJournal::State::Confirmed && written->applier == journal_.applier &&
           written->before.taken == journal_.before.taken;
  }

  bool act(const std::string& why) {
    ++attempts_;
    if (journal_.state == BridgeJournal::State::Applying) end_applier();
    // Others hold the lock for a moment, unless they were stopped: what is done twice is done well, too.
    const auto lock = folder_.records().try_lock_for(lock_patience);
    const auto written = look();
    if (!is_to_be_guarded(written)) return true;
    write_line("taking " + journal_.nic.name + " back from " + journal_.bridge.name + ": " + why);
    const std::vector<std::string> problems = take_back(*written, before_step_);
    for (const std::string& problem : problems) write_line(problem);
    if (!problems.empty()) return false;
    folder_.remove(journal_.nic.name);
    write_line(journal_.nic.name + " is as it was");
    return true;
  }

  void end_applier() const {
    const UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, journal_.applier.pid, 0)));
    if (!handle.is_open() || !journal_.applier.is_alive()) return;
    ::syscall(SYS_pidfd_send_signal, handle.get(), SIGKILL, nullptr, 0);
    pollfd gone{handle.get(), POLLIN, 0};
    ::poll(&gone, 1, 1000);
  }

  BridgeJournal journal_;
  const BridgeJournals& folder_;
  const BridgeStep& before_step_;
  UniqueFd lifeline_;
  BootTimer timer_;
  bool has_applier_ended_ = false;
  unsigned attempts_ = 0;
};

[[noreturn]] void live(const std::string& nic, const BridgeJournals& folder, const BridgeStep& before_step,
                       int lifeline, int news) {
  try {
    ::setsid();
    for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE}) ::signal(number, SIG_IGN);
    for (const int number : {SIGTERM, SIGCHLD}) ::signal(number, SIG_DFL);
    sigset_t none{};
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    close_all_but(lifeline, news);
    redirect_streams(folder.records().path_of(nic, ".log"));
    if (::chdir("/") != 0) fail("changing to /");
    outlive_others();
    keep_net_admin_alone();
    auto journal = folder.read(nic);
    if (!journal || !journal->deadline) throw std::runtime_error("no journal to guard");
    Watch watch(std::move(*journal), folder, before_step, lifeline);
    const pid_t self = ::getpid();
    if (::write(news, &self, sizeof self) != sizeof self) fail("telling that the guardian watches");
    ::close(news);
    watch.run();
  } catch (const std::exception& error) {
    write_line(error.what());
    ::_exit(EXIT_FAILURE);
  }
  ::_exit(EXIT_SUCCESS);
}

UniqueFd make_pipe(UniqueFd& write_end) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("starting the guardian");
  write_end.reset(ends[1]);
  return UniqueFd(ends[0]);
}

}  // namespace

Guardian start_guardian(const std::string& nic, const BridgeJournals& folder, const BridgeStep& before_step) {
  Guardian guardian;
  UniqueFd tell;
  UniqueFd lifeline = make_pipe(guardian.lifeline);
  const UniqueFd news = make_pipe(tell);
  const pid_t child = ::fork();
  if (child < 0) fail("starting the guardian");
  if (child == 0) {
    // The end that only the applier may hold.
    ::close(guardian.lifeline.get());
    const pid_t grandchild = ::fork();
    if (grandchild == 0) live(nic, folder, before_step, lifeline.release(), tell.release());
    ::_exit(grandchild < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
  }
  tell.reset();
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_t pid = 0;
  ssize_t size = 0;
  do {
    size = ::read(news.get(), &pid, sizeof pid);
  } while (size < 0 && errno == EINTR);
  const auto identity = size == sizeof pid ? ProcessIdentity::of(pid) : std::nullopt;
  if (!identity) {
    throw std::runtime_error("the guardian did not start (see " + folder.records().path_of(nic, ".log") + ")");
  }
  guardian.identity = *identity;
  return guardian;
}

}  // namespace culvert
