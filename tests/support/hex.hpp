// Bytes written as hexadecimal digits, as published vectors have them.
#pragma once

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/base/bytes.hpp"

namespace culvert {

/// The bytes that `digits` stand for; spaces between them are skipped. Anything else is a mistake in the test: aborts.
inline std::vector<std::byte> from_hex(std::string_view digits) {
  constexpr std::string_view alphabet = "0123456789abcdef";
  std::vector<std::byte> bytes;
  std::size_t count = 0;
  for (const char digit : digits) {
    if (digit == ' ') continue;
    const std::size_t value = alphabet.find(digit);
    if (value == std::string_view::npos) std::abort();
    if (count++ % 2 == 0) {
      bytes.push_back(static_cast<std::byte>(value << 4));
    } else {
      bytes.back() |= static_cast<std::byte>(value);
    }
  }
  if (count % 2 != 0) std::abort();
  return bytes;
}

/// As from_hex, for exactly `Size` bytes.
template <std::size_t Size>
std::array<std::byte, Size> array_from_hex(std::string_view digits) {
  const auto bytes = from_hex(digits);
  if (bytes.size() != Size) std::abort();
  std::array<std::byte, Size> array;
  copy_bytes(bytes, array);
  return array;
}

/// Lower-case digits without spaces.
inline std::string to_hex(ByteView bytes) {
  constexpr std::string_view alphabet = "0123456789abcdef";
  std::string digits;
  for (const std::byte byte : bytes) {
    digits += alphabet[std::to_integer<std::size_t>(byte >> 4)];
    digits += alphabet[std::to_integer<std::size_t>(byte & std::byte{0xf})];
  }
  return digits;
}

}  // namespace culvert
