// Telling a process from another that has its number later.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace culvert {

/// A process, told from another that has its number later.
struct ProcessIdentity {
  pid_t pid = 0;
  std::uint64_t start_time = 0;  ///< in clock ticks since boot
  [[nodiscard]] static ProcessIdentity self();
  /// Of a process with at least one living thread; nothing if there is none.
  [[nodiscard]] static std::optional<ProcessIdentity> of(pid_t pid);
  [[nodiscard]] bool is_alive() const { return of(pid) == *this; }
  /// Returns when the process is gone, if its first thread is dead already and others are not; after two seconds
  /// anyway.
  void await_end_if_dying() const;
  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

}  // namespace culvert
