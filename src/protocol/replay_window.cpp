// The anti-replay algorithm of RFC 6479, with a zero-based counter.
#include "culvert/protocol/replay_window.hpp"

#include <algorithm>

namespace culvert {

bool ReplayWindow::accept(std::uint64_t counter) noexcept {
  if (counter >= limits::reject_after_messages) return false;
  if (counter >= next_) {
    // Words between the greatest counter so far and this one hold bits from one turn of the ring ago.
    const std::uint64_t newest = counter / 64;
    const std::uint64_t oldest_kept = next_ == 0 ? 0 : (next_ - 1) / 64;
    const std::uint64_t stale = std::min<std::uint64_t>(newest - oldest_kept, words);
    for (std::uint64_t i = 0; i < stale; ++i) bits_[(newest - i) % words] = 0;
    next_ = counter + 1;
  } else if (next_ - 1 - counter > limits::replay_window_size) {
    return false;
  }
  std::uint64_t& word = bits_[counter / 64 % words];
  const std::uint64_t bit = std::uint64_t{1} << counter % 64;
  if ((word & bit) != 0) return false;
  word |= bit;
  return true;
}

}  // namespace culvert
