// A process's clock.
#include "culvert/bench/processor_time.hpp"

#include <time.h>

namespace culvert {

std::optional<std::chrono::nanoseconds> processor_time_of(pid_t process) noexcept {
  clockid_t clock = 0;
  timespec used{};
  if (::clock_getcpuclockid(process, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return {};
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace culvert
