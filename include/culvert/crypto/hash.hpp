// BLAKE2s: plain, keyed, and inside HMAC (RFC 7693, RFC 2104).
#pragma once

#include <array>
#include <initializer_list>

#include "culvert/base/bytes.hpp"

namespace culvert {

using Digest = std::array<std::byte, 32>;
using Mac = std::array<std::byte, 16>;

/// BLAKE2s-256 over the concatenation of at most 4 `parts`.
[[nodiscard]] Digest blake2s(std::initializer_list<ByteView> parts) noexcept;

/// Keyed BLAKE2s with a 16-byte result, for mac1, mac2 and cookies. `key` has 1 to 32 bytes.
[[nodiscard]] Mac keyed_blake2s(ByteView key, std::initializer_list<ByteView> parts) noexcept;

/// HMAC-BLAKE2s-256 over the concatenation of at most 3 `parts`, into `out`. `key` has at most 64 bytes. Working memory
/// is wiped.
void hmac_blake2s(ByteView key, std::initializer_list<ByteView> parts, std::span<std::byte, 32> out) noexcept;

}  // namespace culvert
