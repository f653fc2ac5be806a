// ChaCha20-Poly1305 and AES-256-GCM by BoringSSL.
#include <openssl/aead.h>
#include <openssl/err.h>

#include <exception>
#include <new>

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

EVP_AEAD_CTX* context_in(std::byte* state) noexcept {
  return std::launder(reinterpret_cast<EVP_AEAD_CTX*>(state));
}

}  // namespace

template <>
const std::string_view KeyedAead<Boringssl>::library = "BoringSSL";

template <>
KeyedAead<Boringssl>::KeyedAead(CipherSuite suite, KeyView key) noexcept {
  static_assert(sizeof(EVP_AEAD_CTX) <= sizeof state_ && alignof(EVP_AEAD_CTX) <= 16);
  // The thread's queue of errors is made at the first: here, not when a forged packet comes.
  ERR_clear_error();
  const EVP_AEAD* aead = suite == CipherSuite::Aes256Gcm ? EVP_aead_aes_256_gcm() : EVP_aead_chacha20_poly1305();
  EVP_AEAD_CTX* context = new (state_.data()) EVP_AEAD_CTX;
  if (EVP_AEAD_CTX_init(context, aead, in(key.data()), key.size(), aead_tag_size, nullptr) != 1) std::terminate();
}

template <>
KeyedAead<Boringssl>::~KeyedAead() {
  EVP_AEAD_CTX_cleanup(context_in(state_.data()));
  wipe(state_);
}

template <>
void KeyedAead<Boringssl>::seal(const AeadNonce& nonce, ByteView plaintext, ByteView associated,
                                ByteSpan sealed) noexcept {
  std::size_t written = 0;
  // A cipher that fails to seal must not let a datagram out.
  if (EVP_AEAD_CTX_seal(context_in(state_.data()), out(sealed.data()), &written, sealed.size(), in(nonce.data()),
                        nonce.size(), in(plaintext.data()), plaintext.size(), in(associated.data()),
                        associated.size()) != 1) {
    std::terminate();
  }
}

template <>
bool KeyedAead<Boringssl>::open(const AeadNonce& nonce, ByteSpan sealed, ByteView associated) noexcept {
  std::size_t written = 0;
  return EVP_AEAD_CTX_open(context_in(state_.data()), out(sealed.data()), &written, sealed.size(), in(nonce.data()),
                           nonce.size(), in(sealed.data()), sealed.size(), in(associated.data()),
                           associated.size()) == 1;
}

}  // namespace culvert::detail
