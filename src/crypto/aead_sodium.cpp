// The authenticated ciphers by libsodium.
#include <sodium.h>

#include <cassert>

#include "aead_nonce.hpp"
#include "culvert/base/endian.hpp"
#include "culvert/crypto/aead.hpp"

namespace culvert {
namespace {

const unsigned char* in(const std::byte* bytes) noexcept {
  return reinterpret_cast<const unsigned char*>(bytes);
}
unsigned char* out(std::byte* bytes) noexcept {
  return reinterpret_cast<unsigned char*>(bytes);
}

detail::AeadNonce nonce_of(std::uint64_t counter) noexcept {
  detail::AeadNonce nonce{};
  store<Le64>(nonce.data() + 4, counter);
  return nonce;
}

}  // namespace

// libsodium's ciphers fail to seal only above 256 GiB, far beyond what a span of a datagram can be.

void detail::aead_seal(KeyView key, const AeadNonce& nonce, ByteView plaintext, ByteView associated,
                       ByteSpan sealed) noexcept {
  assert(sealed.size() == plaintext.size() + aead_tag_size);
  (void)crypto_aead_chacha20poly1305_ietf_encrypt(out(sealed.data()), nullptr, in(plaintext.data()), plaintext.size(),
                                                  in(associated.data()), associated.size(), nullptr, in(nonce.data()),
                                                  in(key.data()));
}

bool detail::aead_open(KeyView key, const AeadNonce& nonce, ByteSpan sealed, ByteView associated) noexcept {
  if (sealed.size() < aead_tag_size) return false;
  return crypto_aead_chacha20poly1305_ietf_decrypt(out(sealed.data()), nullptr, nullptr, in(sealed.data()),
                                                   sealed.size(), in(associated.data()), associated.size(),
                                                   in(nonce.data()), in(key.data())) == 0;
}

void Aead::seal(std::uint64_t counter, ByteView plaintext, ByteView associated, ByteSpan out) const noexcept {
  detail::aead_seal(key_.bytes(), nonce_of(counter), plaintext, associated, out);
}

bool Aead::open(std::uint64_t counter, ByteSpan sealed, ByteView associated) const noexcept {
  return detail::aead_open(key_.bytes(), nonce_of(counter), sealed, associated);
}

std::string_view aead_library() noexcept {
  return "libsodium";
}

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
