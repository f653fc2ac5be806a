// Integers as bytes in a stated order, for structs that lie on the wire.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace culvert {

/// An unsigned integer stored in byte order `Order` with alignment 1, so that a struct of these has no padding.
template <std::unsigned_integral T, std::endian Order>
class WireInteger {
 public:
  constexpr WireInteger() = default;
  constexpr WireInteger(T value) noexcept {  // NOLINT: a plain number is meant to be assignable
    for (std::size_t i = 0; i < sizeof(T); ++i) bytes_[i] = static_cast<std::byte>(value >> shift(i));
  }
  constexpr operator T() const noexcept {  // NOLINT
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value = static_cast<T>(value | static_cast<T>(std::to_integer<T>(bytes_[i]) << shift(i)));
    }
    return value;
  }

 private:
  static constexpr unsigned shift(std::size_t i) noexcept {
    return static_cast<unsigned>(8 * (Order == std::endian::little ? i : sizeof(T) - 1 - i));
  }
  std::array<std::byte, sizeof(T)> bytes_{};
};

using Le16 = WireInteger<std::uint16_t, std::endian::little>;
using Le32 = WireInteger<std::uint32_t, std::endian::little>;
using Le64 = WireInteger<std::uint64_t, std::endian::little>;
using Be16 = WireInteger<std::uint16_t, std::endian::big>;
using Be32 = WireInteger<std::uint32_t, std::endian::big>;
using Be64 = WireInteger<std::uint64_t, std::endian::big>;

/// Reads a WireInteger from unaligned memory of at least its size.
template <class Wire>
auto load(const std::byte* from) noexcept {
  Wire wire;
  std::memcpy(&wire, from, sizeof wire);
  return wire;
}

/// Writes a WireInteger to unaligned memory of at least its size.
template <class Wire, std::integral T>
void store(std::byte* to, T value) noexcept {
  const Wire wire(value);
  std::memcpy(to, &wire, sizeof wire);
}

}  // namespace culvert
