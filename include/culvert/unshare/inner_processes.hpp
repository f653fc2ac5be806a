// Processes of PID namespaces further inside, as seen from outside.
#pragma once

#include <sys/types.h>

namespace culvert {

/// Whether `pid`, as the caller's PID namespace and its /proc number it, is in another one below that. True also for a
/// process that is not to be seen, as one that is gone; false for 0, by which the kernel means those further outside.
[[nodiscard]] bool is_further_inside(pid_t pid) noexcept;

}  // namespace culvert
