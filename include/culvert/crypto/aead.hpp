// The seam behind which the bulk cipher sits: ChaCha20-Poly1305 (RFC 8439) with WireGuard's nonce.
#pragma once

#include <cstdint>
#include <string_view>

#include "culvert/crypto/keys.hpp"

namespace culvert {

inline constexpr std::size_t aead_tag_size = 16;

/// One key, ready for use. The library behind it is chosen at build time; aead_<library>.cpp holds each.
/// The nonce is 32 zero bits followed by `counter` in little-endian order; never using one twice is the caller's duty.
class Aead {
 public:
  explicit Aead(SymmetricKey key) noexcept : key_(std::move(key)) {}

  /// Writes ciphertext and tag to `out`, of exactly plaintext.size() + aead_tag_size bytes. `out` may start exactly
  /// where `plaintext` starts, or not overlap it at all.
  void seal(std::uint64_t counter, ByteView plaintext, ByteView associated, ByteSpan out) const noexcept;

  /// Decrypts in place: on success the first sealed.size() - aead_tag_size bytes are plaintext. On failure returns
  /// false, and what is left in those bytes must not be used. Less than aead_tag_size bytes never open.
  [[nodiscard]] bool open(std::uint64_t counter, ByteSpan sealed, ByteView associated) const noexcept;

 private:
  SymmetricKey key_;
};

/// The library behind Aead, for status output: "libsodium".
[[nodiscard]] std::string_view aead_library() noexcept;

/// XChaCha20-Poly1305 with a 24-byte random nonce, for cookie replies. Sizes and return as in Aead; not in place.
void xaead_seal(KeyView key, std::span<const std::byte, 24> nonce, ByteView plaintext, ByteView associated,
                ByteSpan out) noexcept;
[[nodiscard]] bool xaead_open(KeyView key, std::span<const std::byte, 24> nonce, ByteView sealed, ByteView associated,
                              ByteSpan out) noexcept;

}  // namespace culvert
