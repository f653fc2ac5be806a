// IP addresses and prefixes as plain values, needed by both halves.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culvert/base/bytes.hpp"

namespace culvert {

enum class Family : std::uint8_t { V4 = 4, V6 = 6 };

/// An IPv4 or IPv6 address. IPv4 occupies the first 4 bytes; the rest is zero.
class Address {
 public:
  /// The IPv4 address 0.0.0.0.
  constexpr Address() = default;
  /// From 4 (V4) or 16 (V6) bytes in network order; `bytes` has at least that many.
  static Address from_bytes(Family family, ByteView bytes) noexcept;
  /// From text without prefix length, port, brackets or zone. Refuses anything else, also leading zeros in IPv4.
  static std::optional<Address> parse(std::string_view text) noexcept;

  [[nodiscard]] Family family() const noexcept { return family_; }
  [[nodiscard]] bool is_v4() const noexcept { return family_ == Family::V4; }
  /// 4 or 16 bytes, network order.
  [[nodiscard]] ByteView bytes() const noexcept { return ByteView(bytes_).first(is_v4() ? 4 : 16); }
  /// 32 or 128.
  [[nodiscard]] unsigned bits() const noexcept { return is_v4() ? 32 : 128; }
  /// 0.0.0.0 or ::.
  [[nodiscard]] bool is_unspecified() const noexcept;
  /// Canonical text (RFC 5952 for IPv6).
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const Address&, const Address&) = default;

 private:
  Family family_ = Family::V4;
  std::array<std::byte, 16> bytes_{};
};

/// An address and how many of its leading bits count. Host bits are kept as given; masked() clears them.
struct Prefix {
  Address address;
  std::uint8_t length = 0;  ///< 0…32 or 0…128

  /// From "address/length", or "address" alone (a single host). Refuses a length out of range.
  static std::optional<Prefix> parse(std::string_view text) noexcept;
  [[nodiscard]] Prefix masked() const noexcept;
  [[nodiscard]] bool contains(const Address& other) const noexcept;
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const Prefix&, const Prefix&) = default;
};

}  // namespace culvert

template <>
struct std::hash<culvert::Address> {
  std::size_t operator()(const culvert::Address& address) const noexcept;
};
