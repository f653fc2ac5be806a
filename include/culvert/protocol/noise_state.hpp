// The symmetric state of a Noise handshake: chaining key and transcript hash.
#pragma once

#include <string_view>

#include "culvert/crypto/aead.hpp"
#include "culvert/crypto/hash.hpp"
#include "culvert/crypto/key_exchange.hpp"
#include "culvert/crypto/keys.hpp"

namespace culvert {

/// Noise specification, section 5.2, as the WireGuard paper writes it in 5.4.2. Wiped on destruction.
class NoiseState {
 public:
  /// Starts the transcript of Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s with WireGuard's prologue and the responder's key.
  explicit NoiseState(const PublicKey& responder);
  NoiseState(NoiseState&&) noexcept = default;
  NoiseState& operator=(NoiseState&&) noexcept = default;
  ~NoiseState() { wipe(hash_); }

  void mix_hash(ByteView data) noexcept;
  /// ck = KDF1(ck, data), for ephemeral public keys (the psk2 rule).
  void mix_key(ByteView data) noexcept;
  /// (ck, key) = KDF2(ck, secret).
  [[nodiscard]] SymmetricKey mix_shared(const SharedSecret& secret);
  /// Diffie-Hellman, then mix_shared. False when the exchange gives zero.
  [[nodiscard]] bool mix_exchange(const SecretKey& ours, const PublicKey& theirs, SymmetricKey& key);
  /// (ck, hash input, key) = KDF3(ck, psk).
  [[nodiscard]] SymmetricKey mix_preshared(const PresharedKey& psk);

  /// Seals with counter 0 and the hash as associated data, then hashes the result. `out` is plaintext.size() + 16
  /// bytes.
  void encrypt_and_hash(SymmetricKey key, ByteView plaintext, ByteSpan out) noexcept;
  /// The reverse. False, hash unchanged, when the tag does not verify. `out` is sealed.size() - 16 bytes.
  [[nodiscard]] bool decrypt_and_hash(SymmetricKey key, ByteView sealed, ByteSpan out) noexcept;

  /// The two transport keys: KDF2(ck, label); the initiator sends with the first. WireGuard's label is empty.
  void split(SymmetricKey& first, SymmetricKey& second, std::string_view label = {}) const noexcept;

  [[nodiscard]] NoiseState clone() const;

 private:
  NoiseState() = default;
  ChainingKey chaining_key_;
  Digest hash_{};
};

}  // namespace culvert
