// Reading, writing and matching IP addresses.
#include "culvert/base/address.hpp"

#include <algorithm>
#include <charconv>

#include "culvert/base/endian.hpp"
#include "decimal.hpp"

namespace culvert {
namespace {

constexpr std::size_t group_count = 8;
using Groups = std::array<std::uint16_t, group_count>;

/// Cuts what stands before the first `separator` off `text`, and the separator with it.
std::string_view take_until(char separator, std::string_view& text) noexcept {
  const std::size_t end = text.find(separator);
  const std::string_view taken = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return taken;
}

std::optional<std::uint32_t> parse_v4(std::string_view text) noexcept {
  if (std::count(text.begin(), text.end(), '.') != 3) return std::nullopt;
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const auto part = detail::parse_decimal<std::uint8_t>(take_until('.', text));
    if (!part) return std::nullopt;
    value = (value << 8) | std::uint32_t{*part};
  }
  return value;
}

std::optional<std::uint16_t> parse_group(std::string_view text) noexcept {
  std::uint16_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, 16);
  if (text.size() > 4 || error != std::errc() || stop != end) return std::nullopt;
  return value;
}

/// Up to eight groups separated by colons, the last two perhaps as an IPv4 address (RFC 4291 section 2.2).
class GroupList {
 public:
  /// False if `text` is no such list. The empty text is the empty list.
  bool parse(std::string_view text) noexcept {
    if (text.empty()) return true;
    if (text.ends_with(':')) return false;
    while (!text.empty()) {
      const std::string_view part = take_until(':', text);
      if (const auto group = parse_group(part)) {
        if (!add(*group)) return false;
      } else if (const auto v4 = parse_v4(part); v4 && text.empty()) {
        return add(static_cast<std::uint16_t>(*v4 >> 16)) && add(static_cast<std::uint16_t>(*v4));
      } else {
        return false;
      }
    }
    return true;
  }
  [[nodiscard]] std::span<const std::uint16_t> groups() const noexcept { return std::span(groups_).first(count_); }

 private:
  bool add(std::uint16_t group) noexcept {
    if (count_ == group_count) return false;
    groups_[count_++] = group;
    return true;
  }

  Groups groups_{};
  std::size_t count_ = 0;
};

std::optional<Groups> parse_v6(std::string_view text) noexcept {
  const std::size_t gap = text.find("::");
  GroupList front;
  GroupList back;
  if (gap == std::string_view::npos) {
    if (!front.parse(text) || front.groups().size() != group_count) return std::nullopt;
  } else {
    // An IPv4 address may only be the end of the whole, so it may not stand before the gap.
    if (text.substr(0, gap).find('.') != std::string_view::npos) return std::nullopt;
    if (!front.parse(text.substr(0, gap)) || !back.parse(text.substr(gap + 2))) return std::nullopt;
    if (front.groups().size() + back.groups().size() >= group_count) return std::nullopt;
  }
  Groups groups{};
  std::copy(front.groups().begin(), front.groups().end(), groups.begin());
  std::copy_backward(back.groups().begin(), back.groups().end(), groups.end());
  return groups;
}

void append_number(std::string& text, unsigned value, int base) {
  std::array<char, 8> digits;
  text.append(digits.data(), std::to_chars(digits.begin(), digits.end(), value, base).ptr);
}

std::string write_v4(ByteView bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    if (!text.empty()) text += '.';
    append_number(text, std::to_integer<unsigned>(byte), 10);
  }
  return text;
}

struct Run {
  std::size_t start = 0;
  std::size_t length = 0;
};

/// The groups that "::" stands for: the longest run of zeros, the first of equals, never a single one (RFC 5952
/// section 4.2).
Run longest_zeros(const Groups& groups) noexcept {
  Run longest;
  Run run;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    run = groups[i] != 0 ? Run{i + 1, 0} : Run{run.start, run.length + 1};
    if (run.length > longest.length) longest = run;
  }
  return longest.length > 1 ? longest : Run{};
}

std::string write_v6(ByteView bytes) {
  Groups groups;
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = load<Be16>(bytes.data() + 2 * i);
  const Run zeros = longest_zeros(groups);
  const bool ipv4_mapped = zeros.start == 0 && zeros.length == 5 && groups[5] == 0xffff;
  std::string text;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (zeros.length != 0 && i == zeros.start) {
      text += "::";
      i += zeros.length - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    if (ipv4_mapped && i == 6) return text + write_v4(bytes.last(4));  // RFC 5952 section 5
    append_number(text, groups[i], 16);
  }
  return text;
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
  if (text.find(':') == std::string_view::npos) {
    const auto value = parse_v4(text);
    if (!value) return std::nullopt;
    return from_bytes(Family::V4, bytes_of(Be32(*value)));
  }
  const auto groups = parse_v6(text);
  if (!groups) return std::nullopt;
  std::array<Be16, group_count> wire;
  std::copy(groups->begin(), groups->end(), wire.begin());
  return from_bytes(Family::V6, bytes_of(wire));
}

bool Address::is_unspecified() const noexcept {
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

std::string Address::to_string() const {
  return is_v4() ? write_v4(bytes()) : write_v6(bytes());
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
