// ChaCha20-Poly1305 by libsodium.
#include <sodium.h>

#include <cassert>

#include "crypto/aead_backend.hpp"
#include "culvert/crypto/aead.hpp"

namespace culvert::detail {
namespace {

const unsigned char* in(const std::byte* bytes) noexcept {
  return reinterpret_cast<const unsigned char*>(bytes);
}
unsigned char* out(std::byte* bytes) noexcept {
  return reinterpret_cast<unsigned char*>(bytes);
}

}  // namespace

template <>
const std::string_view KeyedAead<Libsodium>::library = "libsodium";

template <>
KeyedAead<Libsodium>::KeyedAead([[maybe_unused]] CipherSuite suite, KeyView key) noexcept {
  assert(suite == CipherSuite::ChaCha20Poly1305);
  copy_bytes(key, state_);
}

template <>
KeyedAead<Libsodium>::~KeyedAead() {
  wipe(state_);
}

// Sealing fails only above 256 GiB, far beyond what a span of a datagram can be.
template <>
void KeyedAead<Libsodium>::seal(const AeadNonce& nonce, ByteView plaintext, ByteView associated,
                                ByteSpan sealed) noexcept {
  (void)crypto_aead_chacha20poly1305_ietf_encrypt(out(sealed.data()), nullptr, in(plaintext.data()), plaintext.size(),
                                                  in(associated.data()), associated.size(), nullptr, in(nonce.data()),
                                                  in(state_.data()));
}

template <>
bool KeyedAead<Libsodium>::open(const AeadNonce& nonce, ByteSpan sealed, ByteView associated) noexcept {
  return crypto_aead_chacha20poly1305_ietf_decrypt(out(sealed.data()), nullptr, nullptr, in(sealed.data()),
                                                   sealed.size(), in(associated.data()), associated.size(),
                                                   in(nonce.data()), in(state_.data())) == 0;
}

}  // namespace culvert::detail
