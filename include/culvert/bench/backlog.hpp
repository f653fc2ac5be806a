// What a queue still holds at the end of a trial, told by how long packets took.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace culvert {

/// By clocks that need not agree: each time is compared with the first. A queue that only grew for a moment is gone
/// again at the end; so it is the least of all delays of the last 5 to 10 ms that counts, not a single one (as in
/// RFC 8289, section 3).
class Backlog {
 public:
  /// Both in microseconds, modulo 2^32, each on its own clock.
  void take(std::uint32_t sent_at, std::uint32_t now) noexcept {
    const std::uint32_t delay = now - sent_at;
    if (!has_first_) {
      has_first_ = true;
      first_ = delay;
      begin_ = sent_at;
    }
    const auto longer = static_cast<std::int32_t>(delay - first_);
    least_ = std::min(least_, longer);
    if (static_cast<std::int32_t>(sent_at - begin_) >= span) {
      last_ = current_;
      current_ = longer;
      begin_ = sent_at;
    } else {
      current_ = std::min(current_, longer);
    }
  }
  [[nodiscard]] std::chrono::microseconds value() const noexcept {
    return std::chrono::microseconds(std::int64_t{std::min(last_, current_)} - least_);
  }

 private:
  static constexpr std::int32_t span = 5000;
  bool has_first_ = false;
  std::uint32_t first_ = 0, begin_ = 0;
  // Longer than the first.
  std::int32_t least_ = 0, last_ = 0, current_ = 0;
};

}  // namespace culvert
