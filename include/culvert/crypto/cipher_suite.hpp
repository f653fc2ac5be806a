// The ciphers a session may use for its data.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace culvert {

/// Handshakes always use ChaCha20-Poly1305; this is about the data afterwards.
enum class CipherSuite : std::uint8_t {
  ChaCha20Poly1305,  ///< RFC 8439, WireGuard's
  Aes256Gcm,         ///< NIST SP 800-38D, with the same 12-byte nonce
  None,              ///< neither secrecy nor authenticity: for measurements, and links that are trusted anyway
};

inline constexpr std::array all_cipher_suites{CipherSuite::ChaCha20Poly1305, CipherSuite::Aes256Gcm, CipherSuite::None};

/// As in configuration files: "chacha20-poly1305", "aes-256-gcm", "none".
[[nodiscard]] constexpr std::string_view to_string(CipherSuite suite) noexcept {
  switch (suite) {
    case CipherSuite::ChaCha20Poly1305:
      return "chacha20-poly1305";
    case CipherSuite::Aes256Gcm:
      return "aes-256-gcm";
    case CipherSuite::None:
      break;
  }
  return "none";
}

/// The reverse; nothing for other words.
[[nodiscard]] constexpr std::optional<CipherSuite> cipher_suite_of(std::string_view word) noexcept {
  for (const CipherSuite suite : all_cipher_suites) {
    if (word == to_string(suite)) return suite;
  }
  return std::nullopt;
}

}  // namespace culvert
