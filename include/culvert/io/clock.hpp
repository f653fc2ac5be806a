// The two clocks of the machine.
#pragma once

#include "culvert/base/time.hpp"

namespace culvert {

/// CLOCK_BOOTTIME and CLOCK_REALTIME, one system call (vDSO) each.
[[nodiscard]] Now read_clocks() noexcept;

}  // namespace culvert
