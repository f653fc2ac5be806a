// How long a process has run.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>

namespace culvert {

/// On all processors together, its threads with it; nothing if there is no such process to be seen.
[[nodiscard]] std::optional<std::chrono::nanoseconds> processor_time_of(pid_t process) noexcept;

}  // namespace culvert
