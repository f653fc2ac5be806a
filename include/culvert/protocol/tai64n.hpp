// TAI64N timestamps, which make initiations unrepeatable.
#pragma once

#include <array>
#include <compare>
#include <cstddef>

#include "culvert/base/time.hpp"

namespace culvert {

/// 12 bytes, big-endian: compares as bytes. Nanoseconds are rounded down to a multiple of 2^24 so that the timestamp
/// does not tell more about the clock than it must.
class Tai64n {
 public:
  constexpr Tai64n() = default;
  explicit Tai64n(const std::array<std::byte, 12>& bytes) noexcept : bytes_(bytes) {}
  /// `wall` before 1970 counts as 1970.
  static Tai64n from(WallTime wall) noexcept;

  /// The least timestamp, of the granularity above, that is greater than this one.
  [[nodiscard]] Tai64n next() const noexcept;
  [[nodiscard]] const std::array<std::byte, 12>& bytes() const noexcept { return bytes_; }
  friend auto operator<=>(const Tai64n&, const Tai64n&) = default;

 private:
  std::array<std::byte, 12> bytes_{};
};

/// Hands out timestamps that always grow, also when the clock is set back, so that a clock that was once wrong does not
/// lock us out of our peers (CVE-2021-46873).
class Tai64nSource {
 public:
  /// Greatest timestamp handed out in an earlier life, if known: continues above it.
  void restore(const Tai64n& last) noexcept;
  [[nodiscard]] Tai64n next(WallTime wall) noexcept;
  [[nodiscard]] const Tai64n& last() const noexcept { return last_; }

 private:
  Tai64n last_;
};

}  // namespace culvert
