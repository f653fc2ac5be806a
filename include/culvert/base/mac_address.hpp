// The address of an Ethernet station.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "culvert/base/bytes.hpp"

namespace culvert {

/// 48 bits (IEEE 802), as a plain value.
class MacAddress {
 public:
  static constexpr std::size_t size = 6;

  /// 00:00:00:00:00:00, which no station has.
  constexpr MacAddress() = default;
  /// From the low 48 bits of `value`; the first byte on the wire is the highest of these.
  constexpr explicit MacAddress(std::uint64_t value) noexcept : value_(value & 0xffff'ffff'ffff) {}
  /// From `size` bytes in the order of the wire; `bytes` has at least that many.
  static MacAddress from_bytes(ByteView bytes) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = (value << 8) | std::to_integer<std::uint64_t>(bytes[i]);
    return MacAddress(value);
  }
  /// Writes `size` bytes to the start of `out`.
  void copy_to(ByteSpan out) const noexcept {
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(value_ >> (8 * (size - 1 - i)));
  }

  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return value_; }
  [[nodiscard]] constexpr bool is_zero() const noexcept { return value_ == 0; }
  /// Names a group of stations, or all of them.
  [[nodiscard]] constexpr bool is_multicast() const noexcept { return ((value_ >> 40) & 1) != 0; }
  /// 01:80:c2:00:00:00 to :0f, which no bridge forwards (IEEE 802.1Q, table 8-1).
  [[nodiscard]] constexpr bool is_link_local_group() const noexcept { return value_ >> 4 == 0x0180'c200'000; }
  /// "02:00:5e:10:00:01".
  [[nodiscard]] std::string to_string() const;

  friend constexpr auto operator<=>(const MacAddress&, const MacAddress&) = default;

 private:
  std::uint64_t value_ = 0;
};

}  // namespace culvert

template <>
struct std::hash<culvert::MacAddress> {
  std::size_t operator()(const culvert::MacAddress& address) const noexcept {
    return std::hash<std::uint64_t>{}(address.value());
  }
};
