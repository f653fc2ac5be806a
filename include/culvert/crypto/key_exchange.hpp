// X25519 (RFC 7748).
#pragma once

#include "culvert/base/random.hpp"
#include "culvert/crypto/keys.hpp"

namespace culvert {

/// Fills a new secret key from `random`, clamped as RFC 7748 section 5 asks.
[[nodiscard]] SecretKey generate_secret_key(Random& random);

[[nodiscard]] PublicKey public_key_of(const SecretKey& secret) noexcept;

/// Diffie-Hellman. False, and `shared` zero, when the result is all zero because `theirs` is a low-order point.
[[nodiscard]] bool key_exchange(const SecretKey& ours, const PublicKey& theirs, SharedSecret& shared) noexcept;

}  // namespace culvert
