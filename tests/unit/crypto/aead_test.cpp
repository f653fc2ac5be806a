// The bulk cipher's nonce, and everything it must refuse to open, for each suite that refuses.
#include "culvert/crypto/aead.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "support/crypto_ready.hpp"
#include "support/hex.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

std::vector<std::byte> random_bytes(std::size_t size, std::uint64_t seed) {
  std::vector<std::byte> bytes(size);
  SeededRandom(seed).fill(bytes);
  return bytes;
}

SymmetricKey random_key(std::uint64_t seed) {
  SymmetricKey key;
  SeededRandom(seed).fill(key.writable_bytes());
  return key;
}

class AeadTest : public testing::TestWithParam<CipherSuite> {
 protected:
  static constexpr std::uint64_t counter = 0x0102030405060708;

  void SetUp() override {
    if (!is_usable(GetParam())) GTEST_SKIP() << "not on this machine";
    aead_.emplace(GetParam(), random_key(1));
    aead_->seal(counter, plaintext_, associated_, sealed_);
  }

  std::optional<Aead> aead_;
  std::vector<std::byte> plaintext_ = random_bytes(100, 2);
  std::vector<std::byte> associated_ = random_bytes(16, 3);
  std::vector<std::byte> sealed_ = std::vector<std::byte>(plaintext_.size() + aead_tag_size);
};

TEST_P(AeadTest, opens_what_it_sealed) {
  ASSERT_TRUE(aead_->open(counter, sealed_, associated_));
  EXPECT_TRUE(std::equal(plaintext_.begin(), plaintext_.end(), sealed_.begin()));
}

TEST_P(AeadTest, every_length_survives_the_way_there_and_back) {
  for (std::size_t size = 0; size <= 300; ++size) {
    const auto plaintext = random_bytes(size, size);
    std::vector<std::byte> sealed(size + aead_tag_size);
    aead_->seal(size, plaintext, {}, sealed);
    ASSERT_TRUE(aead_->open(size, sealed, {})) << size;
    EXPECT_TRUE(std::equal(plaintext.begin(), plaintext.end(), sealed.begin())) << size;
  }
}

TEST_P(AeadTest, seals_in_place) {
  std::vector<std::byte> memory = plaintext_;
  memory.resize(sealed_.size());
  aead_->seal(counter, ByteView(memory).first(plaintext_.size()), associated_, memory);
  EXPECT_EQ(memory, sealed_);
}

TEST_P(AeadTest, leaves_memory_around_the_message_alone) {
  std::vector<std::byte> memory(sealed_.size() + 2, std::byte{0xee});
  aead_->seal(counter, plaintext_, associated_, ByteSpan(memory).subspan(1, sealed_.size()));
  EXPECT_EQ(memory.front(), std::byte{0xee});
  EXPECT_EQ(memory.back(), std::byte{0xee});
  ASSERT_TRUE(aead_->open(counter, ByteSpan(memory).subspan(1, sealed_.size()), associated_));
  EXPECT_EQ(memory.front(), std::byte{0xee});
  EXPECT_EQ(memory.back(), std::byte{0xee});
}

TEST_P(AeadTest, a_flipped_bit_anywhere_is_refused) {
  for (std::size_t i = 0; i < sealed_.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::vector<std::byte> forged = sealed_;
      forged[i] ^= std::byte{1} << bit;
      EXPECT_FALSE(aead_->open(counter, forged, associated_)) << i << ' ' << bit;
    }
  }
}

TEST_P(AeadTest, a_flipped_bit_in_the_associated_data_is_refused) {
  for (std::size_t i = 0; i < associated_.size(); ++i) {
    std::vector<std::byte> sealed = sealed_;
    std::vector<std::byte> forged = associated_;
    forged[i] ^= std::byte{1};
    EXPECT_FALSE(aead_->open(counter, sealed, forged)) << i;
  }
}

TEST_P(AeadTest, associated_data_of_another_length_is_refused) {
  std::vector<std::byte> sealed = sealed_;
  EXPECT_FALSE(aead_->open(counter, sealed, {}));
  sealed = sealed_;
  EXPECT_FALSE(aead_->open(counter, sealed, ByteView(associated_).first(15)));
  sealed = sealed_;
  associated_.push_back(std::byte{0});
  EXPECT_FALSE(aead_->open(counter, sealed, associated_));
}

TEST_P(AeadTest, a_counter_that_differs_in_any_bit_is_refused) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    std::vector<std::byte> sealed = sealed_;
    EXPECT_FALSE(aead_->open(counter ^ (std::uint64_t{1} << bit), sealed, associated_)) << bit;
  }
}

TEST_P(AeadTest, a_key_that_differs_in_any_byte_is_refused) {
  for (std::size_t i = 0; i < key_size; ++i) {
    SymmetricKey key = random_key(1);
    key.writable_bytes()[i] ^= std::byte{0x80};
    std::vector<std::byte> sealed = sealed_;
    EXPECT_FALSE(Aead(GetParam(), std::move(key)).open(counter, sealed, associated_)) << i;
  }
}

TEST_P(AeadTest, a_truncated_message_is_refused_at_every_length) {
  for (std::size_t size = 0; size < sealed_.size(); ++size) {
    std::vector<std::byte> sealed(sealed_.begin(), sealed_.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(aead_->open(counter, sealed, associated_)) << size;
  }
}

TEST_P(AeadTest, a_message_with_bytes_added_is_refused) {
  sealed_.push_back(std::byte{0});
  EXPECT_FALSE(aead_->open(counter, sealed_, associated_));
}

TEST_P(AeadTest, a_zero_tag_is_refused) {
  std::fill_n(sealed_.end() - aead_tag_size, aead_tag_size, std::byte{0});
  EXPECT_FALSE(aead_->open(counter, sealed_, associated_));
}

TEST_P(AeadTest, still_works_after_it_was_moved) {
  Aead moved(std::move(*aead_));
  aead_.reset();
  EXPECT_TRUE(moved.open(counter, sealed_, associated_));
}

INSTANTIATE_TEST_SUITE_P(Suites, AeadTest, testing::Values(CipherSuite::ChaCha20Poly1305, CipherSuite::Aes256Gcm),
                         [](const auto& suite) {
                           return suite.param == CipherSuite::Aes256Gcm ? "Aes256Gcm" : "ChaCha20Poly1305";
                         });

TEST(AeadSuites, seal_the_same_bytes_differently) {
  if (!is_usable(CipherSuite::Aes256Gcm)) GTEST_SKIP() << "not on this machine";
  const auto plaintext = random_bytes(100, 2);
  std::vector<std::byte> sealed(plaintext.size() + aead_tag_size);
  Aead(CipherSuite::Aes256Gcm, random_key(1)).seal(0, plaintext, {}, sealed);
  EXPECT_FALSE(Aead(CipherSuite::ChaCha20Poly1305, random_key(1)).open(0, sealed, {}));
}

TEST(AeadSuites, none_leaves_the_bytes_as_they_are_before_a_tag_of_zeros) {
  Aead none(CipherSuite::None, random_key(1));
  const auto plaintext = random_bytes(20, 2);
  std::vector<std::byte> sealed(plaintext.size() + aead_tag_size, std::byte{0xee});
  none.seal(7, plaintext, {}, sealed);
  auto expected = plaintext;
  expected.resize(sealed.size());
  EXPECT_EQ(sealed, expected);
  EXPECT_TRUE(none.open(8, sealed, {}));
  sealed.back() = std::byte{1};
  EXPECT_FALSE(none.open(8, sealed, {})) << "what another suite sealed";
  EXPECT_FALSE(none.open(8, ByteSpan(sealed).first(15), {})) << "no room for a tag";
}

TEST(AeadSuites, are_known_by_their_words) {
  for (const CipherSuite suite : all_cipher_suites) EXPECT_EQ(cipher_suite_of(to_string(suite)), suite);
  EXPECT_EQ(cipher_suite_of("AES-256-GCM"), std::nullopt);
  EXPECT_EQ(cipher_suite_of(""), std::nullopt);
}

TEST(AeadLibrary, has_a_name) {
  EXPECT_FALSE(aead_library(CipherSuite::ChaCha20Poly1305).empty());
  EXPECT_EQ(aead_library(CipherSuite::Aes256Gcm), "libgcrypt");
  EXPECT_EQ(aead_library(CipherSuite::None), "none");
}

class XaeadTest : public testing::Test {
 protected:
  XaeadTest() {
    SeededRandom(9).fill(nonce_);
    xaead_seal(key_, nonce_, plaintext_, associated_, sealed_);
  }

  bool opens() const {
    std::vector<std::byte> opened(sealed_.size() < aead_tag_size ? 0 : sealed_.size() - aead_tag_size);
    return xaead_open(key_, nonce_, sealed_, associated_, opened) && opened == plaintext_;
  }

  std::array<std::byte, key_size> key_ = array_from_hex<key_size>(std::string(64, '7'));
  std::array<std::byte, 24> nonce_;
  std::vector<std::byte> plaintext_ = random_bytes(16, 4);
  std::vector<std::byte> associated_ = random_bytes(16, 5);
  std::vector<std::byte> sealed_ = std::vector<std::byte>(plaintext_.size() + aead_tag_size);
};

TEST_F(XaeadTest, opens_what_it_sealed) {
  EXPECT_TRUE(opens());
}

TEST_F(XaeadTest, a_flipped_bit_in_any_part_is_refused) {
  for (const ByteSpan part : {ByteSpan(key_), ByteSpan(nonce_), ByteSpan(associated_), ByteSpan(sealed_)}) {
    for (std::byte& byte : part) {
      byte ^= std::byte{0x10};
      EXPECT_FALSE(opens()) << part.size() << ' ' << &byte - part.data();
      byte ^= std::byte{0x10};
    }
  }
  EXPECT_TRUE(opens());
}

TEST_F(XaeadTest, a_truncated_message_is_refused_at_every_length) {
  while (!sealed_.empty()) {
    sealed_.pop_back();
    EXPECT_FALSE(opens()) << sealed_.size();
  }
}

TEST_F(XaeadTest, missing_associated_data_is_refused) {
  associated_.clear();
  EXPECT_FALSE(opens());
}

}  // namespace
}  // namespace culvert
