// Where processes spend their time, by looking at them some thousand times a second (perf_event_open(2)).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// Shares of the processor time of some processes; 1 together.
struct TimeShares {
  double crypto = 0;  ///< in a library that encrypts
  double engine = 0;  ///< elsewhere in the program
  double copies = 0;  ///< in the kernel, moving bytes
  double kernel = 0;  ///< in the kernel otherwise
};

/// Functions of the kernel by address.
class KernelSymbols {
 public:
  /// Of the running kernel; empty when it tells no addresses (kptr_restrict).
  static KernelSymbols load();
  /// `text` as /proc/kallsyms has it.
  explicit KernelSymbols(const std::string& text);
  [[nodiscard]] bool is_empty() const noexcept { return starts_.empty(); }
  /// Whether `address` lies in a function that only moves bytes.
  [[nodiscard]] bool is_copying(std::uint64_t address) const noexcept;

 private:
  struct Start {
    std::uint64_t address;
    bool copies;
  };
  std::vector<Start> starts_;  ///< sorted
};

/// From construction on. For processes that were forked from this one and run the same program, so that libraries lie
/// where they lie here; of each its main thread is looked at.
class TimeProfile {
 public:
  /// Why there can be none here: the kernel does not permit it. Nothing if there can.
  [[nodiscard]] static std::optional<std::string> obstacle();

  /// `symbols` outlives the profile. Throws std::system_error.
  TimeProfile(const KernelSymbols& symbols, std::span<const pid_t> processes);
  ~TimeProfile();
  TimeProfile(const TimeProfile&) = delete;
  TimeProfile& operator=(const TimeProfile&) = delete;

  /// Until now; nothing if they hardly ran.
  [[nodiscard]] std::optional<TimeShares> end();

 private:
  struct Ring;
  const KernelSymbols& symbols_;
  std::vector<Ring> rings_;
};

}  // namespace culvert
