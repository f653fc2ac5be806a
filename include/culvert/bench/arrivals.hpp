// What a sink makes of sequence numbers.
#pragma once

#include <cstdint>
#include <vector>

namespace culvert {

/// Counts the packets of one flow as they arrive, each once, in whatever order. Memory is that of a window; what comes
/// later than it counts as lost.
class Arrivals {
 public:
  /// So far behind the highest number a packet may come.
  static constexpr std::uint32_t window = 1U << 16;

  Arrivals() : seen_(window / 64) {}
  void take(std::uint32_t sequence) noexcept;

  [[nodiscard]] std::uint64_t received() const noexcept { return received_; }

 private:
  bool mark(std::uint32_t sequence) noexcept;
  void advance_to(std::uint64_t next) noexcept;

  std::vector<std::uint64_t> seen_;  ///< one bit for each number of the window, at its remainder
  std::uint64_t next_ = 0;           ///< one beyond the highest so far
  std::uint64_t received_ = 0;
};

}  // namespace culvert
