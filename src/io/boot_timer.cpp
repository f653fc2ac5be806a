// A timer that keeps counting while the machine sleeps: timerfd on CLOCK_BOOTTIME.
#include "culvert/io/boot_timer.hpp"

#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>

namespace culvert {

BootTimer::BootTimer() : fd_(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC)) {
  if (!fd_.is_open()) throw std::system_error(errno, std::system_category(), "creating a timer");
}

void BootTimer::set(std::optional<Timestamp> deadline) noexcept {
  itimerspec when{};
  if (deadline) {
    // An all-zero time would switch the timer off instead of firing at once.
    const auto since_boot = std::max(deadline->time_since_epoch(), std::chrono::nanoseconds(1));
    when.it_value.tv_sec = static_cast<time_t>(since_boot / std::chrono::seconds(1));
    when.it_value.tv_nsec = static_cast<long>((since_boot % std::chrono::seconds(1)).count());
  }
  ::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

void BootTimer::acknowledge() noexcept {
  std::uint64_t expirations = 0;
  [[maybe_unused]] const auto got = ::read(fd_.get(), &expirations, sizeof expirations);
}

}  // namespace culvert
