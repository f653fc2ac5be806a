// Whether what goes one way keeps to a limit.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace culvert {

/// With tolerance for clocks that differ, and for whoever was kept from sending and catches up on two seconds of that.
class RateWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// Bits a second; 0: any.
  RateWatch(std::uint64_t rate, Time now) noexcept : rate_(static_cast<double>(rate) / 8), at_(now) {}

  /// `bytes` more have gone. Whether that was within the limit.
  [[nodiscard]] bool take(double bytes, Time now) noexcept {
    if (rate_ <= 0) return true;
    const double earned = rate_ * tolerance * std::chrono::duration<double>(now - at_).count();
    at_ = now;
    credit_ = std::min(rate_ * seconds_to_catch_up + bytes_at_once, credit_ + earned) - bytes;
    return credit_ >= 0;
  }

 private:
  static constexpr double tolerance = 1.25;
  static constexpr double seconds_to_catch_up = 2;
  static constexpr double bytes_at_once = 128 << 10;

  double rate_;
  Time at_;
  double credit_ = bytes_at_once;
};

}  // namespace culvert
