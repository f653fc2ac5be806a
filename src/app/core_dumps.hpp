// Keys stay out of core files, and the limit on these as it was for programs that are not ours.
#pragma once

namespace culvert {

/// No core file of this process, also when it is to be piped to a program, and nobody may look into it.
void forbid_core_dumps() noexcept;
/// The same for good, also for what it starts.
void forbid_core_dumps_for_good() noexcept;
/// Unless they are forbidden for good: lets what is run next in this process have the limit of before.
void restore_core_limit() noexcept;

}  // namespace culvert
