// ChaCha20-Poly1305 and AES-256-GCM by OpenSSL.
#include <openssl/evp.h>

#include <exception>
#include <new>

#include "crypto/aead_backend.hpp"
#include "culvert/crypto/aead.hpp"
#include "one_at_a_time.hpp"

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

struct State {
  EVP_CIPHER_CTX* context;
  OneAtATime turns;
};

State& state_in(std::byte* memory) noexcept {
  return *std::launder(reinterpret_cast<State*>(memory));
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
  static_assert(sizeof(State) <= sizeof(state_));
  new (state_.data()) State{context, {}};
}

template <>
KeyedAead<Openssl>::~KeyedAead() {
  EVP_CIPHER_CTX_free(state_in(state_.data()).context);  // wipes
}

template <>
void KeyedAead<Openssl>::seal(const AeadNonce& nonce, ByteView plaintext, ByteView associated,
                              ByteSpan sealed) noexcept {
  State& state = state_in(state_.data());
  const OneAtATime::Turn turn(state.turns);
  EVP_CIPHER_CTX* context = state.context;
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
  State& state = state_in(state_.data());
  const OneAtATime::Turn turn(state.turns);
  EVP_CIPHER_CTX* context = state.context;
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
