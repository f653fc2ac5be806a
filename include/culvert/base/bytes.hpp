// Views of memory that everything here passes around.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace culvert {

/// Memory somebody else owns, to be read. Valid only for the duration of the call it is passed to, unless the callee's
/// contract says otherwise.
using ByteView = std::span<const std::byte>;

/// Memory somebody else owns, to be read and written. Same lifetime rule as ByteView.
using ByteSpan = std::span<std::byte>;

/// The bytes of `text`, without a terminating zero.
inline ByteView bytes_of(std::string_view text) noexcept {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// The object representation of a wire struct (trivially copyable, alignment 1). Not for arrays: a string literal is
/// text, and its terminating zero no part of it.
template <class T>
  requires(std::is_class_v<T> && std::is_trivially_copyable_v<T> && alignof(T) == 1)
ByteView bytes_of(const T& wire) noexcept {
  return std::as_bytes(std::span(&wire, 1));
}

/// Copies `from` to the start of `to`; `to` is at least as large. Both may be empty.
inline void copy_bytes(ByteView from, ByteSpan to) noexcept {
  if (!from.empty()) std::memmove(to.data(), from.data(), from.size());
}

}  // namespace culvert
