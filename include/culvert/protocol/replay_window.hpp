// Which counters have been seen (RFC 6479).
#pragma once

#include <array>
#include <cstdint>

#include "culvert/protocol/limits.hpp"

namespace culvert {

/// A ring of bits, so that moving on costs one word at a time. Ask it only after a packet proved authentic.
class ReplayWindow {
 public:
  /// True, and remembered, if `counter` is new and at most limits::replay_window_size behind the greatest. Counters at
  /// or above limits::reject_after_messages are never accepted.
  [[nodiscard]] bool accept(std::uint64_t counter) noexcept;

 private:
  static constexpr std::size_t words = limits::replay_window_bits / 64;
  std::uint64_t next_ = 0;  ///< greatest accepted + 1; 0: none yet
  std::array<std::uint64_t, words> bits_{};
};

}  // namespace culvert
