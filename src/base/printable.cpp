// Text from outside, made safe to show.
#include "culvert/base/printable.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace culvert {

namespace {

void append_escaped(std::string& out, char c) {
  constexpr std::string_view digits = "0123456789abcdef";
  const auto value = static_cast<unsigned char>(c);
  out += {'\\', 'x', digits[value >> 4], digits[value & 0xf]};
}

bool is_plain(char c) {
  return c >= 0x20 && c <= 0x7e;
}

// Controls, and format characters that hide or reorder what is around them (category Cf of Unicode and its like).
constexpr std::array<std::pair<std::uint32_t, std::uint32_t>, 11> hidden{{{0x80, 0x9f},
                                                                          {0xad, 0xad},
                                                                          {0x61c, 0x61c},
                                                                          {0x180e, 0x180e},
                                                                          {0x200b, 0x200f},
                                                                          {0x2028, 0x202e},
                                                                          {0x2060, 0x206f},
                                                                          {0xd800, 0xf8ff},
                                                                          {0xfeff, 0xfeff},
                                                                          {0xfff0, 0xfffb},
                                                                          {0xe0000, 0x1fffff}}};

/// How many bytes the character at the beginning of `text` takes, if it has more than one and shows itself; else 0.
std::size_t size_of_character(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const std::size_t size = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : byte(0) >= 0xc0 ? 2 : 0;
  if (size == 0 || byte(0) > 0xf4 || text.size() < size) return 0;
  std::uint32_t value = byte(0) & (0x7fU >> size);
  for (std::size_t at = 1; at < size; ++at) {
    if ((byte(at) & 0xc0) != 0x80) return 0;
    value = value << 6 | (byte(at) & 0x3fU);
  }
  constexpr std::array<std::uint32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
  const auto is_in = [&](const auto& range) { return value >= range.first && value <= range.second; };
  return value < least[size] || std::ranges::any_of(hidden, is_in) ? 0 : size;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_plain(c)) {
      out += c;
    } else {
      append_escaped(out, c);
    }
  }
  return out;
}

std::string printable_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t size = is_plain(text.front()) ? 1 : size_of_character(text);
    if (size == 0) append_escaped(out, text.front());
    out += text.substr(0, size);
    text.remove_prefix(std::max(size, std::size_t{1}));
  }
  return out;
}

}  // namespace culvert
