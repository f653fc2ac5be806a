// A window of sequence numbers that moves with the highest.
#include "culvert/bench/arrivals.hpp"

#include <algorithm>

namespace culvert {

void Arrivals::take(std::uint32_t sequence) noexcept {
  if (sequence >= next_) {
    advance_to(std::uint64_t{sequence} + 1);
    mark(sequence);
    ++received_;
  } else if (next_ - sequence <= window) {
    if (mark(sequence)) ++received_;
  }
}

// Whether it was not marked before.
bool Arrivals::mark(std::uint32_t sequence) noexcept {
  std::uint64_t& word = seen_[sequence % window / 64];
  const std::uint64_t bit = std::uint64_t{1} << sequence % 64;
  const bool is_first = (word & bit) == 0;
  word |= bit;
  return is_first;
}

void Arrivals::advance_to(std::uint64_t next) noexcept {
  if (next - next_ >= window) {
    std::ranges::fill(seen_, 0);
  } else {
    for (std::uint64_t number = next_; number < next; ++number) {
      seen_[number % window / 64] &= ~(std::uint64_t{1} << number % 64);
    }
  }
  next_ = next;
}

}  // namespace culvert
