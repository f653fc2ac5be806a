// Refusing a cipher, and warning of none.
#include "culvert/runtime/cipher_choice.hpp"

#include "culvert/runtime/log.hpp"

namespace culvert {

void check_cipher(const Config& config, bool usable) {
  if (usable) return;
  throw ConfigError(
      config.path, 0, 0,
      "Cipher = " + std::string(to_string(config.cipher)) +
          " needs AES instructions that this processor does not have: use chacha20-poly1305, at both ends");
}

void warn_if_insecure(const Config& config) {
  if (!config.insecure) return;
  if (config.cipher == CipherSuite::None) {
    spdlog::warn(
        "INSECURE: Cipher = none: nothing in this tunnel is encrypted or authenticated; whoever is on the way can read "
        "it, change it and send into it");
  } else {
    spdlog::warn("Insecure = yes allows Cipher = none, which is not used: this tunnel is encrypted with {}",
                 config.cipher.is_auto() ? "chacha20-poly1305 or aes-256-gcm" : to_string(config.cipher));
  }
}

}  // namespace culvert
