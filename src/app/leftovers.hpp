// What killed commands have left, undone by whichever command comes next.
#pragma once

namespace culvert {

/// Removes half-made names and links, and what sandboxes needed at their hosts, if this process may. What fails is
/// said. For processes with one thread.
void take_back_leftovers_of_killed() noexcept;

}  // namespace culvert
