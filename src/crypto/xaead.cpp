// XChaCha20-Poly1305 by libsodium.
#include <sodium.h>

#include <cassert>

#include "culvert/crypto/aead.hpp"

namespace culvert {
namespace {

const unsigned char* in(const std::byte* bytes) noexcept {
  return reinterpret_cast<const unsigned char*>(bytes);
}
unsigned char* out(std::byte* bytes) noexcept {
  return reinterpret_cast<unsigned char*>(bytes);
}

}  // namespace

// libsodium's ciphers fail to seal only above 256 GiB, far beyond what a span of a datagram can be.
void xaead_seal(KeyView key, std::span<const std::byte, 24> nonce, ByteView plaintext, ByteView associated,
                ByteSpan sealed) noexcept {
  assert(sealed.size() == plaintext.size() + aead_tag_size);
  (void)crypto_aead_xchacha20poly1305_ietf_encrypt(out(sealed.data()), nullptr, in(plaintext.data()), plaintext.size(),
                                                   in(associated.data()), associated.size(), nullptr, in(nonce.data()),
                                                   in(key.data()));
}

bool xaead_open(KeyView key, std::span<const std::byte, 24> nonce, ByteView sealed, ByteView associated,
                ByteSpan plaintext) noexcept {
  if (sealed.size() < aead_tag_size) return false;
  assert(plaintext.size() == sealed.size() - aead_tag_size);
  return crypto_aead_xchacha20poly1305_ietf_decrypt(out(plaintext.data()), nullptr, nullptr, in(sealed.data()),
                                                    sealed.size(), in(associated.data()), associated.size(),
                                                    in(nonce.data()), in(key.data())) == 0;
}

}  // namespace culvert
