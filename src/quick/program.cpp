// Starting other programs and waiting for them.
#include "culvert/quick/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "culvert/base/printable.hpp"

namespace culvert {

namespace {

constexpr const char* path_variable = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

void check(int error, const std::string& what) {
  if (error != 0) throw std::system_error(error, std::system_category(), what);
}

class SpawnSettings {
 public:
  SpawnSettings() {
    check(::posix_spawn_file_actions_init(&actions_), "preparing to start a program");
    check(::posix_spawnattr_init(&attributes_), "preparing to start a program");
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// A file instead of a pipe: a program that does not read cannot block us.
UniqueFd file_with(const std::string& text) {
  UniqueFd file(::memfd_create("input", MFD_CLOEXEC));
  const bool is_written =
      file.is_open() && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!is_written) throw std::system_error(errno, std::system_category(), "keeping a program's input");
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

std::vector<std::string> environment_for(const std::string& device) {
  std::vector<std::string> variables{path_variable, "LC_ALL=C", "CULVERT_DEVICE=" + device};
  const char* home = std::getenv("HOME");
  variables.push_back(std::string("HOME=") + (home && *home == '/' ? home : "/"));
  if (const char* terminal = std::getenv("TERM")) variables.push_back(std::string("TERM=") + terminal);
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

void end(const UniqueFd& process) {
  if (process.is_open()) ::syscall(SYS_pidfd_send_signal, process.get(), SIGTERM, nullptr, 0);
}

}  // namespace

std::string without_keys(const std::string& line) {
  constexpr std::size_t shortest = 43;
  const auto may_be_in_key = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/' ||
           c == '=';
  };
  std::string shown;
  for (auto at = line.begin(); at != line.end();) {
    const auto end = std::find_if_not(at, line.end(), may_be_in_key);
    shown += static_cast<std::size_t>(end - at) >= shortest ? std::string("(hidden)") : std::string(at, end);
    at = end;
    if (at != line.end()) shown += *at++;
  }
  return printable(shown);
}

int ProgramRunner::run(const std::vector<std::string>& argv, const std::optional<std::string>& input) {
  SpawnSettings settings;
  UniqueFd file;
  if (input) {
    file = file_with(*input);
    check(::posix_spawn_file_actions_adddup2(&settings.actions_, file.get(), STDIN_FILENO), "giving a program input");
  }
  check(::posix_spawn_file_actions_addclosefrom_np(&settings.actions_, STDERR_FILENO + 1),
        "keeping our descriptors from a program");
  std::vector<std::string> words = argv;
  std::vector<std::string> variables = environment_for(device_);
  pid_t child = -1;
  {
    const std::lock_guard lock(mutex_);
    if (is_interrupted_) throw std::system_error(ECANCELED, std::system_category(), "starting " + argv.front());
    check(::posix_spawn(&child, argv.front().c_str(), &settings.actions_, &settings.attributes_, pointers(words).data(),
                        pointers(variables).data()),
          "starting " + argv.front());
    running_.reset(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const std::lock_guard lock(mutex_);
  running_.reset();
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int ProgramRunner::run_hook(std::string line) {
  for (std::size_t at = 0; (at = line.find("%i", at)) != std::string::npos; at += device_.size()) {
    line.replace(at, 2, device_);
  }
  if (::access("/bin/bash", X_OK) == 0) {
    return run({"/bin/bash", "-e", "-o", "pipefail", "-O", "extglob", "-c", line});
  }
  return run({"/bin/sh", "-e", "-c", line});
}

void ProgramRunner::interrupt() {
  const std::lock_guard lock(mutex_);
  is_interrupted_ = true;
  end(running_);
}

void ProgramRunner::interrupt_current() {
  const std::lock_guard lock(mutex_);
  end(running_);
}

void ProgramRunner::resume() {
  const std::lock_guard lock(mutex_);
  is_interrupted_ = false;
}

}  // namespace culvert
