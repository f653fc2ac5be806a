// Going to the background, ready before anybody is told so.
#pragma once

#include <string>

#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// Splits the process in two: the parent waits until the child says ready() or ends, and exits with status 0 or what
/// the child ended with; the child goes on, after ready() in a session of its own. Standard error stays connected until
/// ready(), so that the user sees what goes wrong. Before any thread is started and any key is read.
class Daemon {
 public:
  /// `foreground`: nothing is split, and ready() does nothing. Throws std::system_error.
  explicit Daemon(bool foreground);
  /// Lets the parent go. Standard input becomes /dev/null; standard output and error become the file at `log_path`,
  /// emptied and open for limit_log(), if one is given, else /dev/null, unless standard error is to be kept: who waits
  /// for its end would wait for the daemon's.
  void ready(bool keeps_standard_error, const std::string& log_path = {});

 private:
  UniqueFd parent_;
};

}  // namespace culvert
