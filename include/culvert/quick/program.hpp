// Other programs: the user's hooks, and the few helpers without which DNS cannot be set.
#pragma once

#include <sys/types.h>

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// Runs one program at a time and waits for it. What it runs has standard input, output and error and no other
/// descriptor, no signal blocked or ignored, and an environment of PATH (the system's folders), HOME, TERM (if set),
/// LC_ALL=C and CULVERT_DEVICE. One thread runs, any thread may interrupt.
class ProgramRunner {
 public:
  explicit ProgramRunner(std::string device) : device_(std::move(device)) {}

  /// Runs `argv` (an absolute path first) in the calling thread's namespaces, with `input` or else our own standard
  /// input. Returns the exit status, 128 + the number of the signal that ended it. Throws std::system_error when it
  /// cannot be started, with ECANCELED after interrupt().
  int run(const std::vector<std::string>& argv, const std::optional<std::string>& input = std::nullopt);
  /// Runs a hook line by bash, as wg-quick does, or by sh where there is no bash; every %i in it is the device's name.
  int run_hook(std::string line);

  /// Ends the program that runs (SIGTERM), and lets none be started until resume().
  void interrupt();
  /// Ends only the program that runs.
  void interrupt_current();
  void resume();

 private:
  const std::string device_;
  std::mutex mutex_;
  UniqueFd running_;
  bool is_interrupted_ = false;
};

/// A hook line as it may be shown: printable, and without what could be a key.
[[nodiscard]] std::string without_keys(const std::string& line);

}  // namespace culvert
