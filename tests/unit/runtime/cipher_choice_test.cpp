// Ciphers that this machine cannot do, and words for those that protect nothing.
#include "culvert/runtime/cipher_choice.hpp"

#include <gmock/gmock.h>

#include "support/captured_log.hpp"

namespace culvert {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

Config config_with(CipherChoice cipher, bool insecure) {
  Config config;
  config.path = "test.conf";
  config.cipher = cipher;
  config.insecure = insecure;
  return config;
}

TEST(CheckCipher, refuses_what_the_machine_cannot_do_and_says_what_to_try) {
  const Config config = config_with(CipherSuite::Aes256Gcm, false);
  EXPECT_NO_THROW(check_cipher(config, true));
  try {
    check_cipher(config, false);
    ADD_FAILURE() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_EQ(std::string(error.what()),
              "test.conf: Cipher = aes-256-gcm needs AES instructions that this processor does not have: use "
              "chacha20-poly1305, at both ends");
  }
}

TEST(WarnIfInsecure, warns_of_no_cipher_and_of_the_permission_alone) {
  const test::CapturedLog log;
  warn_if_insecure(config_with(CipherSuite::ChaCha20Poly1305, false));
  EXPECT_THAT(log.text(), IsEmpty());
  warn_if_insecure(config_with(CipherSuite::Aes256Gcm, true));
  EXPECT_THAT(log.text(), HasSubstr("warning: Insecure = yes allows Cipher = none, which is not used"));
  EXPECT_EQ(log.count("INSECURE"), 0U);
  warn_if_insecure(config_with(CipherChoice::automatic(), true));
  EXPECT_THAT(log.text(), HasSubstr("this tunnel is encrypted with chacha20-poly1305 or aes-256-gcm"));
  warn_if_insecure(config_with(CipherSuite::None, true));
  EXPECT_THAT(log.text(), HasSubstr("warning: INSECURE: Cipher = none"));
}

}  // namespace
}  // namespace culvert
