// The seam behind which the bulk cipher sits, with WireGuard's nonce.
#pragma once

#include <cstdint>
#include <string_view>

#include "culvert/crypto/cipher_suite.hpp"
#include "culvert/crypto/keys.hpp"

namespace culvert {

inline constexpr std::size_t aead_tag_size = 16;

namespace detail {
/// Room for what any library keeps about a key.
inline constexpr std::size_t aead_context_size = 640;
}  // namespace detail

/// One key, ready for use: key schedules are made once, here, and none of the calls below allocates. Any number of
/// threads may seal and open at once. The libraries behind it are chosen at build time; src/crypto/backends/ holds one
/// file for each. The nonce is 32 zero bits followed by `counter` in little-endian order; never using one twice is the
/// caller's duty. What is kept about the key is wiped when it goes. With libsodium and BoringSSL it is in locked
/// memory; libgcrypt and OpenSSL keep it on the heap. While they work, the libraries may leave pieces of it on the
/// stack.
class Aead {
 public:
  /// Requires is_usable(suite). With None nothing is kept secret and nothing is authentic: sealing appends a tag of
  /// zeros, and whatever ends in one opens.
  Aead(CipherSuite suite, SymmetricKey key) noexcept;
  explicit Aead(SymmetricKey key) noexcept : Aead(CipherSuite::ChaCha20Poly1305, std::move(key)) {}
  Aead(Aead&&) noexcept = default;
  Aead& operator=(Aead&&) = delete;
  ~Aead();

  [[nodiscard]] CipherSuite suite() const noexcept { return suite_; }

  /// Writes ciphertext and tag to `out`, of exactly plaintext.size() + aead_tag_size bytes. `out` may start exactly
  /// where `plaintext` starts, or not overlap it at all.
  void seal(std::uint64_t counter, ByteView plaintext, ByteView associated, ByteSpan out) noexcept;

  /// Decrypts in place: on success the first sealed.size() - aead_tag_size bytes are plaintext. On failure returns
  /// false, and what is left in those bytes must not be used. Less than aead_tag_size bytes never open.
  [[nodiscard]] bool open(std::uint64_t counter, ByteSpan sealed, ByteView associated) noexcept;

 private:
  CipherSuite suite_;
  detail::LockedSlot<detail::aead_context_size> context_;
};

/// The library behind a suite, for status output: "BoringSSL"; "none" for CipherSuite::None.
[[nodiscard]] std::string_view aead_library(CipherSuite suite) noexcept;

/// Whether this machine can use the suite: AES-256-GCM wants instructions for AES and carry-less multiplication,
/// without which it is slow and leaks its key through the caches. Known for x86-64 only; elsewhere the answer is no.
/// After initialize_crypto().
[[nodiscard]] bool is_usable(CipherSuite suite) noexcept;

/// XChaCha20-Poly1305 with a 24-byte random nonce, for cookie replies. Sizes and return as in Aead; not in place.
void xaead_seal(KeyView key, std::span<const std::byte, 24> nonce, ByteView plaintext, ByteView associated,
                ByteSpan out) noexcept;
[[nodiscard]] bool xaead_open(KeyView key, std::span<const std::byte, 24> nonce, ByteView sealed, ByteView associated,
                              ByteSpan out) noexcept;

}  // namespace culvert
