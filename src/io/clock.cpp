// Reading the machine's clocks.
#include "culvert/io/clock.hpp"

#include <ctime>

namespace culvert {

namespace {

std::chrono::nanoseconds read(clockid_t clock) noexcept {
  timespec value{};
  // Fails only for clocks the kernel does not have; both have been there since Linux 2.6.39.
  ::clock_gettime(clock, &value);
  return std::chrono::seconds(value.tv_sec) + std::chrono::nanoseconds(value.tv_nsec);
}

}  // namespace

Now read_clocks() noexcept {
  return {Timestamp(read(CLOCK_BOOTTIME)), WallTime(read(CLOCK_REALTIME))};
}

}  // namespace culvert
