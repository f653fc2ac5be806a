// ChaCha20-Poly1305 with any nonce, so that published vectors can be checked; everyone else uses Aead.
#pragma once

#include "culvert/crypto/aead.hpp"

namespace culvert::detail {

using AeadNonce = std::array<std::byte, 12>;

/// Sizes, overlap and return as in Aead.
void aead_seal(KeyView key, const AeadNonce& nonce, ByteView plaintext, ByteView associated, ByteSpan out) noexcept;
[[nodiscard]] bool aead_open(KeyView key, const AeadNonce& nonce, ByteSpan sealed, ByteView associated) noexcept;

}  // namespace culvert::detail
