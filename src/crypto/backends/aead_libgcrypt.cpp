// ChaCha20-Poly1305 and AES-256-GCM by libgcrypt.
#include <gcrypt.h>

#include <cassert>
#include <exception>
#include <new>

#include "crypto/aead_backend.hpp"
#include "culvert/crypto/aead.hpp"
#include "one_at_a_time.hpp"

namespace culvert::detail {
namespace {

/// A cipher that fails to seal must not let a datagram out.
void require(gcry_error_t error) noexcept {
  if (error != 0) std::terminate();
}

struct State {
  gcry_cipher_hd_t handle;
  OneAtATime turns;
};

State& state_in(std::byte* memory) noexcept {
  return *std::launder(reinterpret_cast<State*>(memory));
}

}  // namespace

template <>
const std::string_view KeyedAead<Libgcrypt>::library = "libgcrypt";

template <>
KeyedAead<Libgcrypt>::KeyedAead(CipherSuite suite, KeyView key) noexcept {
  const bool is_aes = suite == CipherSuite::Aes256Gcm;
  gcry_cipher_hd_t handle;
  require(gcry_cipher_open(&handle, is_aes ? GCRY_CIPHER_AES256 : GCRY_CIPHER_CHACHA20,
                           is_aes ? GCRY_CIPHER_MODE_GCM : GCRY_CIPHER_MODE_POLY1305, 0));
  require(gcry_cipher_setkey(handle, key.data(), key.size()));
  static_assert(sizeof(State) <= sizeof(state_));
  new (state_.data()) State{handle, {}};
}

template <>
KeyedAead<Libgcrypt>::~KeyedAead() {
  gcry_cipher_close(state_in(state_.data()).handle);  // wipes
}

template <>
void KeyedAead<Libgcrypt>::seal(const AeadNonce& nonce, ByteView plaintext, ByteView associated,
                                ByteSpan out) noexcept {
  State& state = state_in(state_.data());
  const OneAtATime::Turn turn(state.turns);
  gcry_cipher_hd_t handle = state.handle;
  require(gcry_cipher_setiv(handle, nonce.data(), nonce.size()));
  if (!associated.empty()) require(gcry_cipher_authenticate(handle, associated.data(), associated.size()));
  require(gcry_cipher_encrypt(handle, out.data(), plaintext.size(), plaintext.data(), plaintext.size()));
  require(gcry_cipher_gettag(handle, out.data() + plaintext.size(), aead_tag_size));
}

template <>
bool KeyedAead<Libgcrypt>::open(const AeadNonce& nonce, ByteSpan sealed, ByteView associated) noexcept {
  State& state = state_in(state_.data());
  const OneAtATime::Turn turn(state.turns);
  gcry_cipher_hd_t handle = state.handle;
  const std::size_t size = sealed.size() - aead_tag_size;
  if (gcry_cipher_setiv(handle, nonce.data(), nonce.size()) != 0) return false;
  if (!associated.empty() && gcry_cipher_authenticate(handle, associated.data(), associated.size()) != 0) return false;
  return gcry_cipher_decrypt(handle, sealed.data(), size, nullptr, 0) == 0 &&
         gcry_cipher_checktag(handle, sealed.data() + size, aead_tag_size) == 0;
}

}  // namespace culvert::detail
