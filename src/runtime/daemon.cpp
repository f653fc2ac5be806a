// Going to the background.
#include "culvert/runtime/daemon.hpp"

#include <fcntl.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace culvert {
namespace {

constexpr char ready_byte = 'r';

[[noreturn]] void await_child(pid_t child, const UniqueFd& news) {
  char byte = 0;
  while (::read(news.get(), &byte, 1) < 0 && errno == EINTR) {
  }
  if (byte == ready_byte) ::_exit(EXIT_SUCCESS);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ::_exit(WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EXIT_FAILURE);
}

}  // namespace

Daemon::Daemon(bool foreground) {
  if (foreground) return;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::system_category(), "going to the background");
  }
  UniqueFd news(ends[0]);
  parent_.reset(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::system_category(), "going to the background");
  if (child > 0) {
    parent_.reset();
    await_child(child, news);
  }
}

void Daemon::ready(bool keeps_standard_error, const std::string& log_path) {
  if (!parent_.is_open()) return;
  const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (nothing.is_open()) {
    ::dup2(nothing.get(), STDIN_FILENO);
    ::dup2(nothing.get(), STDOUT_FILENO);
    if (!keeps_standard_error) ::dup2(nothing.get(), STDERR_FILENO);
  }
  if (!log_path.empty()) {
    const UniqueFd log(::open(log_path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
    if (log.is_open()) {
      ::dup2(log.get(), STDOUT_FILENO);
      ::dup2(log.get(), STDERR_FILENO);
    }
  }
  // Until now an interrupt from the terminal was meant for this process, too.
  ::setsid();
  if (::chdir("/") != 0) return parent_.reset();
  [[maybe_unused]] const auto told = ::write(parent_.get(), &ready_byte, 1);
  parent_.reset();
}

}  // namespace culvert
