// Reading, writing and matching IP addresses.
#include "culvert/base/address.hpp"

#include <arpa/inet.h>

#include <algorithm>

#include "decimal.hpp"

namespace culvert {
namespace {

int system_family(Family family) noexcept {
  return family == Family::V4 ? AF_INET : AF_INET6;
}

/// The bits of byte number `index` that lie within the first `length` bits.
std::byte mask_of_byte(std::size_t index, unsigned length) noexcept {
  const unsigned before = static_cast<unsigned>(8 * index);
  if (length <= before) return std::byte{0};
  return std::byte{0xff} << (8 - std::min(length - before, 8U));
}

}  // namespace

Address Address::from_bytes(Family family, ByteView bytes) noexcept {
  Address address;
  address.family_ = family;
  copy_bytes(bytes.first(family == Family::V4 ? 4 : 16), address.bytes_);
  return address;
}

std::optional<Address> Address::parse(std::string_view text) noexcept {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  // A zero inside would hide what follows it from inet_pton.
  if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::copy(text.begin(), text.end(), terminated.begin());
  Address address;
  address.family_ = text.find(':') == std::string_view::npos ? Family::V4 : Family::V6;
  if (inet_pton(system_family(address.family_), terminated.data(), address.bytes_.data()) != 1) return std::nullopt;
  return address;
}

bool Address::is_unspecified() const noexcept {
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

std::string Address::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(system_family(family_), bytes_.data(), text.data(), static_cast<socklen_t>(text.size()));
  return text.data();
}

std::optional<Prefix> Prefix::parse(std::string_view text) noexcept {
  const std::size_t slash = text.find('/');
  const auto address = Address::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == std::string_view::npos) return Prefix{*address, static_cast<std::uint8_t>(address->bits())};
  const auto length = detail::parse_decimal<std::uint8_t>(text.substr(slash + 1));
  if (!length || *length > address->bits()) return std::nullopt;
  return Prefix{*address, *length};
}

Prefix Prefix::masked() const noexcept {
  std::array<std::byte, 16> kept{};
  const ByteView bytes = address.bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) kept[i] = bytes[i] & mask_of_byte(i, length);
  return {Address::from_bytes(address.family(), kept), length};
}

bool Prefix::contains(const Address& other) const noexcept {
  if (other.family() != address.family()) return false;
  const ByteView ours = address.bytes();
  const ByteView theirs = other.bytes();
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (((ours[i] ^ theirs[i]) & mask_of_byte(i, length)) != std::byte{0}) return false;
  }
  return true;
}

std::string Prefix::to_string() const {
  return address.to_string() + '/' + std::to_string(length);
}

}  // namespace culvert

std::size_t std::hash<culvert::Address>::operator()(const culvert::Address& address) const noexcept {
  const culvert::ByteView bytes = address.bytes();
  std::array<char, 16> characters{};
  std::memcpy(characters.data(), bytes.data(), bytes.size());
  return std::hash<std::string_view>{}(std::string_view(characters.data(), bytes.size()));
}
