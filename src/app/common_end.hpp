// Ending by the signal that has ended the command that was run.
#pragma once

#include <csignal>
#include <cstdio>
#include <optional>

namespace culvert {

/// Returns `status`, or ends by `signal`: a shell that sees a command end by Ctrl-C ends its loop, but goes on after
/// one that ends with status 130.
inline int ended(int status, std::optional<int> signal) {
  if (!signal) return status;
  std::fflush(nullptr);
  std::raise(*signal);
  return status;
}

}  // namespace culvert
