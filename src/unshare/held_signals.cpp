// Holding signals back (signalfd).
#include "culvert/unshare/held_signals.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace culvert {

namespace {

// SI_KERNEL: asm-generic/siginfo.h; the terminal's signals bear it (send_sig with priv, drivers/tty/tty_jobctrl.c).
constexpr int from_kernel = 0x80;

[[noreturn]] void fail() {
  throw std::system_error(errno, std::system_category(), "holding back signals");
}

}  // namespace

HeldSignals::HeldSignals() {
  ::sigemptyset(&held_);
  ::sigemptyset(&taken_);
  for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGTSTP, SIGCONT, SIGWINCH}) {
    ::sigaddset(&held_, number);
  }
  fd_.reset(::signalfd(-1, &held_, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd_.is_open()) fail();
  sigset_t blocked = held_;
  // The program, not this one, is to stop when it uses a terminal from the background.
  for (const int number : {SIGPIPE, SIGTTIN, SIGTTOU}) ::sigaddset(&blocked, number);
  if (::sigprocmask(SIG_BLOCK, &blocked, &before_) != 0) fail();
}

HeldSignals::~HeldSignals() {
  give_back();
}

std::optional<HeldSignals::Signal> HeldSignals::take() noexcept {
  signalfd_siginfo info{};
  ssize_t size = 0;
  do {
    size = ::read(fd_.get(), &info, sizeof info);
  } while (size < 0 && errno == EINTR);
  if (size != static_cast<ssize_t>(sizeof info)) return std::nullopt;
  ::sigaddset(&taken_, static_cast<int>(info.ssi_signo));
  return Signal{static_cast<int>(info.ssi_signo), info.ssi_code == from_kernel};
}

std::optional<int> HeldSignals::common_end(int status) const noexcept {
  const int number = status - 128;
  if (number <= 0 || number >= NSIG || ::sigismember(&taken_, number) != 1) return std::nullopt;
  return number;
}

void HeldSignals::add_child_signal() {
  ::sigaddset(&held_, SIGCHLD);
  sigset_t child{};
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  // With SIGCHLD ignored, as some programs leave it, the kernel would keep no exit status.
  const bool is_done =
      ::sigprocmask(SIG_BLOCK, &child, nullptr) == 0 && ::sigaction(SIGCHLD, &usual, &child_before_) == 0;
  // Another one, because the one there is may be shared with the parent, with what it reads.
  fd_.reset(::signalfd(-1, &held_, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!is_done || !fd_.is_open()) fail();
  has_child_signal_ = true;
}

void HeldSignals::give_back() const noexcept {
  if (has_child_signal_) ::sigaction(SIGCHLD, &child_before_, nullptr);
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace culvert
