// Two processes in agreement about a third: signals down, stops and the exit status up.
#include "culvert/unshare/supervision.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace culvert {

namespace {

constexpr char kind_signal = 'S';   // down: its number
constexpr char kind_stopped = 'T';  // up
constexpr char kind_ended = 'X';    // up: the status, a space, and why there was no program, if so

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

int number_in(const std::string& text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// Runs in the program's process. What keeps it from running goes to `complaint`, as an errno value.
[[noreturn]] void become(const std::vector<std::string>& argv, const HeldSignals& signals,
                         const std::function<void()>& before_exec, int complaint) {
  int error = EINVAL;
  try {
    std::vector<std::string> words = argv;
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    if (before_exec) before_exec();
    signals.give_back();
    ::execvp(pointers.front(), pointers.data());
    error = errno;
  } catch (const std::system_error& failure) {
    error = failure.code().value();
  } catch (const std::exception&) {
  }
  [[maybe_unused]] const auto written = ::write(complaint, &error, sizeof error);
  ::_exit(status_not_runnable);
}

class Program {
 public:
  Program(const Channel& parent, HeldSignals& signals, const SideJob& side_job)
      : parent_(parent), signals_(signals), side_job_(side_job) {}

  int run(const std::vector<std::string>& argv, const std::function<void()>& before_exec) {
    if (const int error = start(argv, before_exec); error != 0) {
      const int status = error == ENOENT ? status_not_found : status_not_runnable;
      parent_.send(kind_ended, std::to_string(status) + " cannot run '" + argv.front() + "': " + std::strerror(error));
      return status;
    }
    std::array<pollfd, 3> ready{{{signals_.fd(), POLLIN, 0}, {parent_.fd(), POLLIN, 0}, {side_job_.fd, POLLIN, 0}}};
    while (!status_) {
      if (::poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR) fail("waiting for a program");
      if (ready[0].revents != 0) take_signals();
      if (ready[1].revents != 0 && !status_) obey();
      if (ready[2].revents != 0) side_job_.attend();
    }
    parent_.send(kind_ended, std::to_string(*status_));
    return *status_;
  }

 private:
  int start(const std::vector<std::string>& argv, const std::function<void()>& before_exec) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("starting a program");
    const UniqueFd complaint(ends[0]);
    UniqueFd complain(ends[1]);
    pid_ = ::fork();
    if (pid_ < 0) fail("starting a program");
    if (pid_ == 0) become(argv, signals_, before_exec, complain.get());
    complain.reset();
    int error = 0;
    ssize_t size = 0;
    do {
      size = ::read(complaint.get(), &error, sizeof error);
    } while (size < 0 && errno == EINTR);
    return size == sizeof error ? error : 0;
  }

  void take_signals() {
    while (const auto signal = signals_.take()) {
      if (signal->number == SIGCHLD) {
        reap();
      } else if (!signal->is_from_kernel && !status_) {
        ::kill(pid_, signal->number);
      }
    }
  }

  // Also those whose parents have ended, and that have become this process's children.
  void reap() {
    int status = 0;
    pid_t child = 0;
    while ((child = ::waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
      if (child != pid_) continue;
      if (WIFSTOPPED(status)) {
        parent_.send(kind_stopped);
      } else {
        status_ = shell_status(status);
      }
    }
  }

  void obey() {
    const auto message = parent_.receive();
    // Who asked for the program is gone, and with this process goes the program.
    if (!message) throw std::runtime_error("the parent has ended");
    if (message->kind == kind_signal) ::kill(pid_, number_in(message->text));
  }

  const Channel& parent_;
  HeldSignals& signals_;
  const SideJob& side_job_;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

void watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) fail("watching a child");
}

}  // namespace

int supervise(const Channel& parent, HeldSignals& signals, const std::vector<std::string>& argv,
              const std::function<void()>& before_exec, const SideJob& side_job) {
  signals.add_child_signal();
  return Program(parent, signals, side_job).run(argv, before_exec);
}

int handed_on(const ChannelMessage& message) noexcept {
  return message.kind == kind_signal ? number_in(message.text) : 0;
}

SupervisedChild::SupervisedChild(UnsharedChild& child, HeldSignals& signals)
    : child_(child), signals_(signals), ready_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!ready_.is_open()) fail("watching a child");
  watch(ready_.get(), child_.channel().fd());
  watch(ready_.get(), signals_.fd());
}

std::optional<int> SupervisedChild::attend() {
  hand_signals_on();
  while (!status_ && child_.channel().is_readable()) {
    auto message = child_.channel().receive();
    if (!message) {
      status_ = child_.wait();
    } else if (message->kind == kind_stopped) {
      // What continues the process group, as a shell's fg does, continues the program, too.
      ::raise(SIGSTOP);
    } else if (message->kind == kind_ended) {
      end_with(message->text);
    } else if (message->kind == UnsharedChild::kind_failure) {
      throw std::runtime_error(message->text);
    } else if (on_message) {
      on_message(std::move(*message));
    }
  }
  return status_;
}

void SupervisedChild::hand_signals_on() {
  while (const auto signal = signals_.take()) {
    if (signal->is_from_kernel || status_) continue;
    try {
      child_.channel().send(kind_signal, std::to_string(signal->number));
    } catch (const std::system_error&) {
      // It has ended, which is about to be read.
    }
  }
}

void SupervisedChild::end_with(const std::string& text) {
  status_ = number_in(text);
  if (const std::size_t space = text.find(' '); space != std::string::npos) failure_ = text.substr(space + 1);
  child_.wait();
}

int SupervisedChild::wait() {
  pollfd ready{fd(), POLLIN, 0};
  std::optional<int> status;
  while (!(status = attend())) {
    if (::poll(&ready, 1, -1) < 0 && errno != EINTR) fail("waiting for a child");
  }
  return *status;
}

}  // namespace culvert
