// Points in time as plain values. Nothing here reads a clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace culvert {

/// Time since boot, counting suspend (CLOCK_BOOTTIME): key ages must include the time a machine sleeps.
struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
};
using Timestamp = BootClock::time_point;

/// Time since 1970-01-01 00:00 UTC (CLOCK_REALTIME). May jump; used for TAI64N and for people only.
struct WallClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<WallClock>;
  static constexpr bool is_steady = false;
};
using WallTime = WallClock::time_point;

/// Both clocks read at one moment; one such reading serves a whole burst of packets.
struct Now {
  Timestamp time;
  WallTime wall;
};

}  // namespace culvert
