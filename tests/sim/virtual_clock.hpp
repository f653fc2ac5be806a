// Time that passes when the simulation says so.
#pragma once

#include <chrono>

#include "culvert/base/time.hpp"

namespace culvert::sim {

using Duration = Timestamp::duration;

/// One world's time since boot. Each host has its own idea of the calendar, as an offset.
class VirtualClock {
 public:
  [[nodiscard]] Timestamp time() const noexcept { return time_; }
  [[nodiscard]] Now now(Duration wall_offset = {}) const noexcept {
    return {time_, start_of_calendar + (time_ - start) + wall_offset};
  }
  /// Time never goes back.
  void advance_to(Timestamp time) noexcept {
    if (time > time_) time_ = time;
  }

  static constexpr Timestamp start{std::chrono::hours(1)};
  static constexpr WallTime start_of_calendar{std::chrono::seconds(1'700'000'000)};

 private:
  Timestamp time_ = start;
};

}  // namespace culvert::sim
