// Sleeping to the microsecond.
#pragma once

#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <chrono>

#include "culvert/bench/load_sockets.hpp"

namespace culvert {

using LoadClock = std::chrono::steady_clock;
using LoadTime = LoadClock::time_point;

/// The kernel puts off the calling thread's timers by no more than it must (50 microseconds otherwise).
class PreciseTimers {
 public:
  PreciseTimers() noexcept : before_(::prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0)) { ::prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); }
  ~PreciseTimers() {
    if (before_ > 0) ::prctl(PR_SET_TIMERSLACK, before_, 0, 0, 0);
  }
  PreciseTimers(const PreciseTimers&) = delete;
  PreciseTimers& operator=(const PreciseTimers&) = delete;

 private:
  int before_;
};

/// Returns earlier by a signal, and after load_wait, so that a wish to stop is seen.
inline void sleep_until(LoadTime wake, LoadTime now) noexcept {
  const auto moment = std::min<LoadTime>(wake, now + load_wait).time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(moment);
  const timespec time{.tv_sec = seconds.count(), .tv_nsec = std::chrono::nanoseconds(moment - seconds).count()};
  ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr);
}

}  // namespace culvert
