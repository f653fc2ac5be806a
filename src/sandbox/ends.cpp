// Who is who on a sandbox's link.
#include "culvert/sandbox/ends.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace culvert {

namespace {

constexpr unsigned ipv4_length = 30;
constexpr unsigned ipv6_length = 64;

using AddressBytes = std::array<std::byte, 16>;

std::byte low_byte(unsigned value) {
  return static_cast<std::byte>(value & 0xff);
}

Prefix ipv4_end(unsigned number, unsigned host) {
  const unsigned low = 4 * number + host;
  const std::array<std::byte, 4> bytes{std::byte{10}, std::byte{213}, low_byte(low >> 8), low_byte(low)};
  return {Address::from_bytes(Family::V4, bytes), ipv4_length};
}

Prefix ipv6_end(unsigned number, unsigned host) {
  AddressBytes bytes{std::byte{0xfd}, std::byte{0x63}, std::byte{0x75},
                     std::byte{0x6c}, std::byte{0x76}, std::byte{0x65}};
  bytes[6] = low_byte(number >> 8);
  bytes[7] = low_byte(number);
  bytes[15] = low_byte(host);
  return {Address::from_bytes(Family::V6, bytes), ipv6_length};
}

}  // namespace

std::string outer_link_name(unsigned number) {
  return "sandbox" + std::to_string(number);
}

EndAddresses default_addresses(unsigned number) {
  return {.inside = {ipv4_end(number, 2), ipv6_end(number, 2)}, .outside = {ipv4_end(number, 1), ipv6_end(number, 1)}};
}

std::optional<Prefix> other_end_of(const Prefix& inside) {
  const unsigned bits = inside.address.bits();
  if (inside.length >= bits) return std::nullopt;
  // In a network of two, both are hosts (RFC 3021, RFC 6164).
  const Prefix network = inside.masked();
  const unsigned first = bits - inside.length == 1 ? 0 : 1;
  for (unsigned host = first; host <= first + 1; ++host) {
    AddressBytes bytes{};
    std::ranges::copy(network.address.bytes(), bytes.begin());
    bytes[bits / 8 - 1] |= static_cast<std::byte>(host);
    const Prefix other{Address::from_bytes(inside.address.family(), bytes), inside.length};
    if (other.address != inside.address) return other;
  }
  return std::nullopt;
}

bool overlap(const Prefix& one, const Prefix& other) {
  if (one.address.family() != other.address.family()) return false;
  const Prefix& wider = one.length <= other.length ? one : other;
  return wider.masked().contains(one.length <= other.length ? other.address : one.address);
}

}  // namespace culvert
