// The process's log: spdlog on standard error, in a form that cannot stop packets.
#pragma once

#include <spdlog/spdlog.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "culvert/base/printable.hpp"
#include "culvert/base/time.hpp"

namespace culvert {

/// Makes the default spdlog logger write to standard error at `level`. A line that standard error cannot take at once
/// (a full pipe) is lost instead of waited for. With a time stamp unless the journal of systemd adds its own
/// (JOURNAL_STREAM).
void start_log(spdlog::level::level_enum level);

/// After start_log(), with standard error a file of our own, open for reading and appending: once it is larger than
/// `size_max`, the oldest lines go until no more than a quarter of that is left. What others write there counts as soon
/// as the next line is logged.
void limit_log(std::size_t size_max);

/// The level a word stands for: trace, debug, info, warn, error, off, and wireguard-go's verbose and silent.
/// Throws std::invalid_argument for other words.
[[nodiscard]] spdlog::level::level_enum log_level_of(std::string_view word);

/// Says whether one more line of a kind may be logged: at most `burst` per `interval`, and how many were held back
/// before.
class LogLimit {
 public:
  explicit LogLimit(unsigned burst = 5, std::chrono::seconds interval = std::chrono::seconds(10))
      : burst_(burst), interval_(interval) {}
  [[nodiscard]] bool allow(Timestamp now) noexcept;
  /// Lines not allowed since the last that was; reading resets it.
  [[nodiscard]] unsigned take_suppressed() noexcept { return std::exchange(suppressed_, 0u); }

 private:
  unsigned burst_;
  std::chrono::seconds interval_;
  Timestamp window_{};
  unsigned used_ = 0;
  unsigned suppressed_ = 0;
};

}  // namespace culvert
