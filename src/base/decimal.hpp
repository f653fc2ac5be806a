// Unsigned decimal numbers in text.
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>
#include <system_error>

namespace culvert::detail {

/// The whole of `text` as a number: digits only, no leading zero, not greater than T can hold.
template <std::unsigned_integral T>
std::optional<T> parse_decimal(std::string_view text) noexcept {
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  T value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

}  // namespace culvert::detail
