// The bulk cipher: suites and the libraries that were chosen for them.
#include "culvert/crypto/aead.hpp"

#include <sodium.h>

#include <algorithm>
#include <cassert>
#include <new>

#include "aead_backend.hpp"
#include "culvert/base/endian.hpp"

namespace culvert {
namespace {

using ChaCha20Poly1305 = detail::KeyedAead<detail::CULVERT_CHACHA_LIBRARY>;
using Aes256Gcm = detail::KeyedAead<detail::CULVERT_AES_LIBRARY>;
static_assert(sizeof(ChaCha20Poly1305) <= detail::aead_context_size && sizeof(Aes256Gcm) <= detail::aead_context_size);

detail::AeadNonce nonce_of(std::uint64_t counter) noexcept {
  detail::AeadNonce nonce{};
  store<Le64>(nonce.data() + 4, counter);
  return nonce;
}

template <class Keyed>
Keyed& in(ByteSpan context) noexcept {
  return *std::launder(reinterpret_cast<Keyed*>(context.data()));
}

}  // namespace

Aead::Aead(CipherSuite suite, SymmetricKey key) noexcept : suite_(suite) {
  std::byte* context = context_.bytes().data();
  if (suite == CipherSuite::ChaCha20Poly1305) new (context) ChaCha20Poly1305(suite, key.bytes());
  if (suite == CipherSuite::Aes256Gcm) new (context) Aes256Gcm(suite, key.bytes());
}

Aead::~Aead() {
  if (context_.is_empty()) return;
  if (suite_ == CipherSuite::ChaCha20Poly1305) in<ChaCha20Poly1305>(context_.bytes()).~KeyedAead();
  if (suite_ == CipherSuite::Aes256Gcm) in<Aes256Gcm>(context_.bytes()).~KeyedAead();
}

void Aead::seal(std::uint64_t counter, ByteView plaintext, ByteView associated, ByteSpan out) noexcept {
  assert(out.size() == plaintext.size() + aead_tag_size);
  switch (suite_) {
    case CipherSuite::ChaCha20Poly1305:
      return in<ChaCha20Poly1305>(context_.bytes()).seal(nonce_of(counter), plaintext, associated, out);
    case CipherSuite::Aes256Gcm:
      return in<Aes256Gcm>(context_.bytes()).seal(nonce_of(counter), plaintext, associated, out);
    case CipherSuite::None:
      break;
  }
  if (plaintext.data() != out.data()) copy_bytes(plaintext, out);
  std::ranges::fill(out.last(aead_tag_size), std::byte{0});
}

bool Aead::open(std::uint64_t counter, ByteSpan sealed, ByteView associated) noexcept {
  if (sealed.size() < aead_tag_size) return false;
  switch (suite_) {
    case CipherSuite::ChaCha20Poly1305:
      return in<ChaCha20Poly1305>(context_.bytes()).open(nonce_of(counter), sealed, associated);
    case CipherSuite::Aes256Gcm:
      return in<Aes256Gcm>(context_.bytes()).open(nonce_of(counter), sealed, associated);
    case CipherSuite::None:
      break;
  }
  return std::ranges::all_of(sealed.last(aead_tag_size), [](std::byte byte) { return byte == std::byte{0}; });
}

std::string_view aead_library(CipherSuite suite) noexcept {
  switch (suite) {
    case CipherSuite::ChaCha20Poly1305:
      return ChaCha20Poly1305::library;
    case CipherSuite::Aes256Gcm:
      return Aes256Gcm::library;
    case CipherSuite::None:
      break;
  }
  return "none";
}

bool is_usable(CipherSuite suite) noexcept {
  return suite != CipherSuite::Aes256Gcm || (sodium_runtime_has_aesni() == 1 && sodium_runtime_has_pclmul() == 1);
}

}  // namespace culvert
