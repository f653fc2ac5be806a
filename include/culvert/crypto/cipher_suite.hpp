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

/// What whoever set a device up wants its sessions to use: one suite, the same at both ends, or the best that both ends
/// have, which they agree on in the session.
class CipherChoice {
 public:
  constexpr CipherChoice() = default;
  constexpr CipherChoice(CipherSuite suite) noexcept : suite_(suite) {}  // NOLINT: a suite is a choice
  [[nodiscard]] static constexpr CipherChoice automatic() noexcept {
    CipherChoice choice;
    choice.is_auto_ = true;
    return choice;
  }

  /// What sessions begin with.
  [[nodiscard]] constexpr CipherSuite suite() const noexcept { return suite_; }
  [[nodiscard]] constexpr bool is_auto() const noexcept { return is_auto_; }
  friend constexpr bool operator==(CipherChoice, CipherChoice) = default;

 private:
  CipherSuite suite_ = CipherSuite::ChaCha20Poly1305;
  bool is_auto_ = false;
};

/// As in configuration files: "auto", or as the suite.
[[nodiscard]] constexpr std::string_view to_string(CipherChoice choice) noexcept {
  return choice.is_auto() ? "auto" : to_string(choice.suite());
}

/// The reverse; nothing for other words.
[[nodiscard]] constexpr std::optional<CipherChoice> cipher_choice_of(std::string_view word) noexcept {
  if (word == "auto") return CipherChoice::automatic();
  if (const auto suite = cipher_suite_of(word)) return CipherChoice(*suite);
  return std::nullopt;
}

}  // namespace culvert
