// What a library must offer to stand behind Aead; backends/aead_<library>.cpp holds each.
#pragma once

#include <array>
#include <string_view>

#include "culvert/crypto/cipher_suite.hpp"
#include "culvert/crypto/keys.hpp"

namespace culvert::detail {

using AeadNonce = std::array<std::byte, 12>;

/// One key, ready for use by `Library`, wiped when it goes. Sizes and overlap as in Aead; `sealed` has a tag at least.
/// Sealing and opening allocate nothing; any number of threads may do so at once.
template <class Library>
class KeyedAead {
 public:
  static const std::string_view library;

  /// Any suite but None. Terminates without memory: there is nothing to seal with.
  KeyedAead(CipherSuite suite, KeyView key) noexcept;
  ~KeyedAead();
  KeyedAead(const KeyedAead&) = delete;
  KeyedAead& operator=(const KeyedAead&) = delete;

  void seal(const AeadNonce& nonce, ByteView plaintext, ByteView associated, ByteSpan out) noexcept;
  [[nodiscard]] bool open(const AeadNonce& nonce, ByteSpan sealed, ByteView associated) noexcept;

 private:
  /// What the library keeps, or the address of it.
  alignas(16) std::array<std::byte, 608> state_;
};

/// Keeps the key itself. ChaCha20-Poly1305 only.
struct Libsodium;
/// Keeps key schedules in a handle of its own, in the locked memory that libgcrypt_memory.hpp lends it.
struct Libgcrypt;
/// Keeps key schedules in a handle of its own: on the heap, wiped when closed, not locked. For comparison only.
struct Openssl;
/// Keeps key schedules in the object itself.
struct Boringssl;

// Every member is specialized by its library's file.
#define CULVERT_SPECIALIZED_ELSEWHERE(Library)                                            \
  template <>                                                                             \
  const std::string_view KeyedAead<Library>::library;                                     \
  template <>                                                                             \
  KeyedAead<Library>::KeyedAead(CipherSuite suite, KeyView key) noexcept;                 \
  template <>                                                                             \
  KeyedAead<Library>::~KeyedAead();                                                       \
  template <>                                                                             \
  void KeyedAead<Library>::seal(const AeadNonce&, ByteView, ByteView, ByteSpan) noexcept; \
  template <>                                                                             \
  bool KeyedAead<Library>::open(const AeadNonce&, ByteSpan, ByteView) noexcept
CULVERT_SPECIALIZED_ELSEWHERE(Libsodium);
CULVERT_SPECIALIZED_ELSEWHERE(Libgcrypt);
CULVERT_SPECIALIZED_ELSEWHERE(Openssl);
CULVERT_SPECIALIZED_ELSEWHERE(Boringssl);
#undef CULVERT_SPECIALIZED_ELSEWHERE

}  // namespace culvert::detail
