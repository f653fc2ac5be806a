// A timer that keeps counting while the machine sleeps.
#pragma once

#include <optional>

#include "culvert/base/time.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// A timerfd on CLOCK_BOOTTIME: its descriptor is readable once the time set has come. Throws std::system_error from
/// the constructor only.
class BootTimer {
 public:
  BootTimer();
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// Replaces the time set before; nothing switches the timer off. A time that has passed makes it readable at once.
  void set(std::optional<Timestamp> deadline) noexcept;
  /// Makes the descriptor unreadable again after it fired.
  void acknowledge() noexcept;

 private:
  UniqueFd fd_;
};

}  // namespace culvert
