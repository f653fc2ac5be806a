// How long a process has run.
#pragma once

#include <sys/types.h>

#include <chrono>

namespace culvert {

/// On all processors together, its threads with it; zero if there is no such process.
[[nodiscard]] std::chrono::nanoseconds processor_time_of(pid_t process) noexcept;

}  // namespace culvert
