// TAI64N timestamps of the granularity the reference code uses.
#include "culvert/protocol/tai64n.hpp"

#include <algorithm>
#include <cstdint>

#include "culvert/base/endian.hpp"

namespace culvert {

namespace {

// https://cr.yp.to/libtai/tai64.html: 2^62 is 1970, and TAI was then 10 s ahead of UTC. Leap seconds since are ignored.
constexpr std::uint64_t unix_epoch = 0x400000000000000a;
constexpr std::uint32_t tick = std::uint32_t{1} << 24;
constexpr std::uint32_t nanoseconds_per_second = 1'000'000'000;

Tai64n make(std::uint64_t seconds, std::uint32_t nanoseconds) noexcept {
  std::array<std::byte, 12> bytes;
  store<Be64>(bytes.data(), seconds);
  store<Be32>(bytes.data() + 8, nanoseconds);
  return Tai64n(bytes);
}

}  // namespace

Tai64n Tai64n::from(WallTime wall) noexcept {
  const auto since_epoch = std::max(wall.time_since_epoch(), WallTime::duration::zero());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const auto nanoseconds = static_cast<std::uint32_t>((since_epoch - seconds).count());
  return make(unix_epoch + static_cast<std::uint64_t>(seconds.count()), nanoseconds & ~(tick - 1));
}

Tai64n Tai64n::next() const noexcept {
  const std::uint64_t seconds = load<Be64>(bytes_.data());
  const std::uint32_t nanoseconds = load<Be32>(bytes_.data() + 8) & ~(tick - 1);
  return nanoseconds < nanoseconds_per_second - tick ? make(seconds, nanoseconds + tick) : make(seconds + 1, 0);
}

void Tai64nSource::restore(const Tai64n& last) noexcept {
  last_ = std::max(last_, last);
}

Tai64n Tai64nSource::next(WallTime wall) noexcept {
  last_ = std::max(Tai64n::from(wall), last_.next());
  return last_;
}

}  // namespace culvert
