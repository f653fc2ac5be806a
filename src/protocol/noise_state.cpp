// The symmetric half of Noise: mixing into chaining key and transcript hash.
#include "culvert/protocol/noise_state.hpp"

#include <cassert>

#include "culvert/crypto/kdf.hpp"

namespace culvert {

namespace {

// Views, not arrays: the terminating zero is no part of the names (WireGuard paper, section 5.4).
constexpr std::string_view construction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
constexpr std::string_view identifier = "WireGuard v1 zx2c4 Jason@zx2c4.com";

/// The largest thing a handshake encrypts is a public key.
constexpr std::size_t sealed_size_max = key_size + aead_tag_size;

}  // namespace

NoiseState::NoiseState(const PublicKey& responder) : chaining_key_(KeyView(blake2s({bytes_of(construction)}))) {
  hash_ = blake2s({chaining_key_.bytes(), bytes_of(identifier)});
  mix_hash(responder.bytes());
}

void NoiseState::mix_hash(ByteView data) noexcept {
  hash_ = blake2s({hash_, data});
}

void NoiseState::mix_key(ByteView data) noexcept {
  kdf1(chaining_key_.bytes(), data, chaining_key_.writable_bytes());
}

SymmetricKey NoiseState::mix_shared(const SharedSecret& secret) {
  SymmetricKey key;
  kdf2(chaining_key_.bytes(), secret.bytes(), chaining_key_.writable_bytes(), key.writable_bytes());
  return key;
}

bool NoiseState::mix_exchange(const SecretKey& ours, const PublicKey& theirs, SymmetricKey& key) {
  SharedSecret secret;
  if (!key_exchange(ours, theirs, secret)) return false;
  key = mix_shared(secret);
  return true;
}

SymmetricKey NoiseState::mix_preshared(const PresharedKey& psk) {
  SymmetricKey key;
  Digest hash_input;
  kdf3(chaining_key_.bytes(), psk.bytes(), chaining_key_.writable_bytes(), hash_input, key.writable_bytes());
  mix_hash(hash_input);
  wipe(hash_input);
  return key;
}

void NoiseState::encrypt_and_hash(SymmetricKey key, ByteView plaintext, ByteSpan out) noexcept {
  Aead(std::move(key)).seal(0, plaintext, hash_, out);
  mix_hash(out);
}

bool NoiseState::decrypt_and_hash(SymmetricKey key, ByteView sealed, ByteSpan out) noexcept {
  assert(sealed.size() >= aead_tag_size && sealed.size() <= sealed_size_max);
  std::array<std::byte, sealed_size_max> buffer;
  const ByteSpan work = ByteSpan(buffer).first(sealed.size());
  copy_bytes(sealed, work);
  const bool is_authentic = Aead(std::move(key)).open(0, work, hash_);
  if (is_authentic) {
    copy_bytes(work.first(sealed.size() - aead_tag_size), out);
    mix_hash(sealed);
  }
  wipe(buffer);
  return is_authentic;
}

void NoiseState::split(SymmetricKey& first, SymmetricKey& second, std::string_view label) const noexcept {
  kdf2(chaining_key_.bytes(), bytes_of(label), first.writable_bytes(), second.writable_bytes());
}

NoiseState NoiseState::clone() const {
  NoiseState copy;
  copy.chaining_key_ = chaining_key_.clone();
  copy.hash_ = hash_;
  return copy;
}

}  // namespace culvert
