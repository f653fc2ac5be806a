// ChaCha20-Poly1305 and AES-256-GCM by OpenSSL.
#include <openssl/evp.h>

#include <cstring>
#include <exception>

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
int length(std::size_t size) noexcept {
  return static_cast<int>(size);
}

/// A cipher that fails to seal must not let a datagram out.
void require(bool is_done) noexcept {
  if (!is_done) std::terminate();
}

EVP_CIPHER_CTX* context_in(const std::byte* state) noexcept {
  EVP_CIPHER_CTX* context;
  std::memcpy(&context, state, sizeof context);
  return context;
}

}  // namespace

template <>
const std::string_view KeyedAead<Openssl>::library = "OpenSSL";

template <>
KeyedAead<Openssl>::KeyedAead(CipherSuite suite, KeyView key) noexcept {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  require(context != nullptr);
  const EVP_CIPHER* cipher = suite == CipherSuite::Aes256Gcm ? EVP_aes_256_gcm() : EVP_chacha20_poly1305();
  require(EVP_EncryptInit_ex(context, cipher, nullptr, in(key.data()), nullptr) == 1);
  std::memcpy(state_.data(), &context, sizeof context);
}

template <>
KeyedAead<Openssl>::~KeyedAead() {
  EVP_CIPHER_CTX_free(context_in(state_.data()));  // wipes
}

template <>
void KeyedAead<Openssl>::seal(const AeadNonce& nonce, ByteView plaintext, ByteView associated,
                              ByteSpan sealed) noexcept {
  EVP_CIPHER_CTX* context = context_in(state_.data());
  int written = 0;
  require(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, in(nonce.data())) == 1);
  if (!associated.empty()) {
    require(EVP_EncryptUpdate(context, nullptr, &written, in(associated.data()), length(associated.size())) == 1);
  }
  if (!plaintext.empty()) {
    require(EVP_EncryptUpdate(context, out(sealed.data()), &written, in(plaintext.data()), length(plaintext.size())) ==
            1);
  }
  require(EVP_EncryptFinal_ex(context, out(sealed.data()) + plaintext.size(), &written) == 1);
  require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, aead_tag_size, sealed.data() + plaintext.size()) == 1);
}

template <>
bool KeyedAead<Openssl>::open(const AeadNonce& nonce, ByteSpan sealed, ByteView associated) noexcept {
  EVP_CIPHER_CTX* context = context_in(state_.data());
  const std::size_t size = sealed.size() - aead_tag_size;
  int written = 0;
  if (EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, in(nonce.data())) != 1) return false;
  if (!associated.empty() &&
      EVP_DecryptUpdate(context, nullptr, &written, in(associated.data()), length(associated.size())) != 1) {
    return false;
  }
  if (size != 0 && EVP_DecryptUpdate(context, out(sealed.data()), &written, in(sealed.data()), length(size)) != 1) {
    return false;
  }
  return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, aead_tag_size, sealed.data() + size) == 1 &&
         EVP_DecryptFinal_ex(context, out(sealed.data()) + size, &written) == 1;
}

}  // namespace culvert::detail
