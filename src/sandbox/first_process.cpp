// Standing in for the defaults of signals that process 1 does not have.
#include "culvert/sandbox/first_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "culvert/base/printable.hpp"
#include "culvert/io/record_folder.hpp"
#include "culvert/unshare/supervision.hpp"

namespace culvert {

namespace {

/// Whether the mask after "SigCgt:" and the like has the signal.
bool has_signal(std::string_view status, std::string_view mask, int number) {
  const std::size_t at = status.find(mask);
  if (at == std::string_view::npos) return false;
  std::string_view text = status.substr(at + mask.size());
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t")));
  std::uint64_t bits = 0;
  constexpr int hexadecimal = 16;
  std::from_chars(text.data(), text.data() + text.size(), bits, hexadecimal);
  return ((bits >> (number - 1)) & 1) != 0;
}

std::string status_text_of(pid_t pid) {
  const UniqueFd file(::open(("/proc/" + std::to_string(pid) + "/status").c_str(), O_RDONLY | O_CLOEXEC));
  constexpr std::size_t most = 65536;
  return file.is_open() ? read_all(file, most).value_or("") : "";
}

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

bool stops_by_default(int number) {
  return number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

bool is_harmless_by_default(int number) {
  return number == SIGCONT || number == SIGWINCH || number == SIGCHLD || number == SIGURG;
}

class Supervisor {
 public:
  Supervisor(UnsharedChild& child, HeldSignals& signals) : child_(child), signals_(signals) {
    // Held back, but not read there: who is stopped for using the terminal from the background is stopped with its
    // group.
    sigset_t numbers{};
    ::sigemptyset(&numbers);
    for (const int number : {SIGTTIN, SIGTTOU}) ::sigaddset(&numbers, number);
    waits_for_terminal_.reset(::signalfd(-1, &numbers, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!waits_for_terminal_.is_open()) fail("waiting for signals");
    terminal_.reset(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (terminal_.is_open() && ::tcgetpgrp(terminal_.get()) != ::getpgrp()) terminal_.reset();
  }

  int run() {
    await_program();
    std::array<pollfd, 3> ready{
        {{signals_.fd(), POLLIN, 0}, {waits_for_terminal_.get(), POLLIN, 0}, {child_.pidfd(), POLLIN, 0}}};
    while (ready[2].revents == 0) {
      if (::poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR) fail("waiting for a program");
      while (const auto signal = signals_.take()) pass_on(signal->number, signal->is_from_kernel);
      signalfd_siginfo signal{};
      while (::read(waits_for_terminal_.get(), &signal, sizeof signal) == ssize_t{sizeof signal}) {
        pass_on(static_cast<int>(signal.ssi_signo), true);
      }
    }
    const int status = child_.wait();
    take_terminal_back();
    return killed_for_.value_or(status);
  }

 private:
  // Before that it holds signals back, too, and would lose those that it does not handle.
  void await_program() {
    while (const auto message = child_.channel().receive()) {
      if (message->kind == UnsharedChild::kind_failure) throw std::runtime_error(message->text);
    }
  }

  void pass_on(int number, bool is_from_kernel) {
    switch (action_on(number, status_text_of(child_.pid()))) {
      case SignalAction::Ignored:
        return;
      case SignalAction::Handled:
        // The terminal has told it, too.
        if (!is_from_kernel) ::kill(child_.pid(), number);
        return;
      case SignalAction::Default:
        break;
    }
    if (number == SIGCONT) {
      ::kill(child_.pid(), SIGCONT);
    } else if (stops_by_default(number)) {
      ::kill(child_.pid(), SIGSTOP);
      ::raise(SIGSTOP);
      ::kill(child_.pid(), SIGCONT);
    } else if (!is_harmless_by_default(number)) {
      killed_for_ = 128 + number;
      ::kill(child_.pid(), SIGKILL);
    }
  }

  void take_terminal_back() const {
    if (!terminal_.is_open() || ::tcgetpgrp(terminal_.get()) == ::getpgrp()) return;
    // SIGTTOU is among the signals that are held back.
    ::tcsetpgrp(terminal_.get(), ::getpgrp());
  }

  UnsharedChild& child_;
  HeldSignals& signals_;
  UniqueFd waits_for_terminal_;
  UniqueFd terminal_;
  std::optional<int> killed_for_;
};

}  // namespace

SignalAction action_on(int number, const std::string& status_text) {
  if (has_signal(status_text, "SigCgt:", number) || has_signal(status_text, "SigBlk:", number)) {
    return SignalAction::Handled;
  }
  return has_signal(status_text, "SigIgn:", number) ? SignalAction::Ignored : SignalAction::Default;
}

int become_first_process(const HeldSignals& signals, const std::vector<std::string>& argv) {
  std::vector<std::string> words = argv;
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  signals.give_back();
  ::execvp(pointers.front(), pointers.data());
  const int error = errno;
  std::fprintf(stderr, "culvert: cannot run '%s': %s\n", printable(argv.front()).c_str(), std::strerror(error));
  return error == ENOENT ? status_not_found : status_not_runnable;
}

int wait_for_first_process(UnsharedChild& child, HeldSignals& signals) {
  return Supervisor(child, signals).run();
}

}  // namespace culvert
