// One library behind the seam, whether or not it is the chosen one: published vectors, and libsodium as the measure of
// every length. Compiled once for each library that is installed.
#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "crypto/aead_backend.hpp"
#include "culvert/crypto/aead.hpp"
#include "support/crypto_ready.hpp"
#include "support/hex.hpp"
#include "support/seeded_random.hpp"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS
namespace {
thread_local std::size_t allocations = 0;
}
// The libraries are C: counting operator new would not see them.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* malloc(std::size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  ++allocations;
  return __libc_realloc(memory, size);
}
}
#endif

namespace culvert {
namespace {

using Library = detail::CULVERT_AEAD_LIBRARY;
using Keyed = detail::KeyedAead<Library>;
using Bytes = std::vector<std::byte>;

constexpr bool has_aes = !std::is_same_v<Library, detail::Libsodium>;

Bytes random_bytes(std::size_t size, std::uint64_t seed) {
  Bytes bytes(size);
  SeededRandom(seed).fill(bytes);
  return bytes;
}

struct Vector {
  const char* name;
  CipherSuite suite;
  std::string_view key;
  std::string_view nonce;
  std::string_view associated;
  std::string_view plaintext;
  std::string_view sealed;  ///< ciphertext and tag
};

constexpr std::string_view nist_key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
constexpr std::string_view zero_key = "0000000000000000000000000000000000000000000000000000000000000000";
constexpr Vector vectors[] = {
    {"Rfc8439Section282", CipherSuite::ChaCha20Poly1305,
     "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "070000004041424344454647",
     "50515253c0c1c2c3c4c5c6c7",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f"
     "756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e736372"
     "65656e20776f756c642062652069742e",
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b"
     "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
     "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"},
    {"GcmTestCase13", CipherSuite::Aes256Gcm, zero_key, "000000000000000000000000", "", "",
     "530f8afbc74536b9a963b4f1c4cb738b"},
    {"GcmTestCase14", CipherSuite::Aes256Gcm, zero_key, "000000000000000000000000", "",
     "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
    {"GcmTestCase15", CipherSuite::Aes256Gcm, nist_key, "cafebabefacedbaddecaf888", "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
     "b094dac5d93471bdec1a502270e3cc6c"},
    {"GcmTestCase16", CipherSuite::Aes256Gcm, nist_key, "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

class PublishedVector : public testing::TestWithParam<Vector> {};

TEST_P(PublishedVector, seals_and_opens) {
  const Vector& vector = GetParam();
  if (vector.suite == CipherSuite::Aes256Gcm && !has_aes) GTEST_SKIP() << "not by this library";
  Keyed keyed(vector.suite, array_from_hex<key_size>(vector.key));
  const auto nonce = array_from_hex<12>(vector.nonce);
  const auto associated = from_hex(vector.associated);
  const auto plaintext = from_hex(vector.plaintext);
  // Twice: the first message must leave nothing behind in the context.
  for (int round = 0; round < 2; ++round) {
    Bytes sealed(plaintext.size() + aead_tag_size);
    keyed.seal(nonce, plaintext, associated, sealed);
    EXPECT_EQ(to_hex(sealed), to_hex(from_hex(vector.sealed)));
    ASSERT_TRUE(keyed.open(nonce, sealed, associated));
    EXPECT_EQ(to_hex(ByteView(sealed).first(plaintext.size())), to_hex(plaintext));
  }
}

INSTANTIATE_TEST_SUITE_P(Aead, PublishedVector, testing::ValuesIn(vectors),
                         [](const auto& name) { return std::string(name.param.name); });

class EachSuite : public testing::TestWithParam<CipherSuite> {
 protected:
  void SetUp() override {
    if (GetParam() == CipherSuite::Aes256Gcm && (!has_aes || !is_usable(CipherSuite::Aes256Gcm))) {
      GTEST_SKIP() << "not by this library, or not on this machine";
    }
    keyed_ = std::make_unique<Keyed>(GetParam(), key_);
  }

  /// The same message by libsodium's own functions.
  Bytes reference(ByteView plaintext, ByteView associated) const {
    Bytes sealed(plaintext.size() + aead_tag_size);
    const auto encrypt = GetParam() == CipherSuite::Aes256Gcm ? crypto_aead_aes256gcm_encrypt
                                                              : crypto_aead_chacha20poly1305_ietf_encrypt;
    encrypt(reinterpret_cast<unsigned char*>(sealed.data()), nullptr,
            reinterpret_cast<const unsigned char*>(plaintext.data()), plaintext.size(),
            reinterpret_cast<const unsigned char*>(associated.data()), associated.size(), nullptr,
            reinterpret_cast<const unsigned char*>(nonce_.data()), reinterpret_cast<const unsigned char*>(key_.data()));
    return sealed;
  }

  std::array<std::byte, key_size> key_ =
      array_from_hex<key_size>("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
  detail::AeadNonce nonce_ = array_from_hex<12>("000000000102030405060708");
  std::unique_ptr<Keyed> keyed_;
};

TEST_P(EachSuite, agrees_with_libsodium_at_every_length) {
  for (std::size_t size = 0; size <= 9000; size += size < 600 ? 1 : 397) {
    for (const std::size_t associated_size : {0u, 32u}) {
      const Bytes plaintext = random_bytes(size, size);
      const Bytes associated = random_bytes(associated_size, 1);
      const Bytes expected = reference(plaintext, associated);
      Bytes sealed(expected.size());
      keyed_->seal(nonce_, plaintext, associated, sealed);
      ASSERT_EQ(sealed, expected) << size;
      Bytes in_place = plaintext;
      in_place.resize(expected.size());
      keyed_->seal(nonce_, ByteView(in_place).first(size), associated, in_place);
      ASSERT_EQ(in_place, expected) << size << " in place";
      ASSERT_TRUE(keyed_->open(nonce_, sealed, associated)) << size;
      sealed.resize(size);
      ASSERT_EQ(sealed, plaintext) << size;
    }
  }
}

TEST_P(EachSuite, refuses_what_was_changed_and_opens_the_next) {
  const Bytes genuine = reference(random_bytes(100, 2), {});
  for (std::size_t i = 0; i < genuine.size(); ++i) {
    Bytes forged = genuine;
    forged[i] ^= std::byte{1};
    EXPECT_FALSE(keyed_->open(nonce_, forged, {})) << i;
  }
  for (std::size_t size = aead_tag_size; size < genuine.size(); ++size) {
    Bytes truncated(genuine.begin(), genuine.begin() + std::ptrdiff_t(size));
    EXPECT_FALSE(keyed_->open(nonce_, truncated, {})) << size;
  }
  Bytes sealed = genuine;
  EXPECT_FALSE(keyed_->open(nonce_, sealed, random_bytes(1, 3)));
  sealed = genuine;
  auto other_nonce = nonce_;
  other_nonce.back() ^= std::byte{1};
  EXPECT_FALSE(keyed_->open(other_nonce, sealed, {}));
  sealed = genuine;
  EXPECT_TRUE(keyed_->open(nonce_, sealed, {}));
}

TEST_P(EachSuite, allocates_nothing_for_a_packet_not_even_for_a_forged_one) {
#ifdef COUNTS_ALLOCATIONS
  const Bytes plaintext = random_bytes(1420, 4);
  Bytes sealed(plaintext.size() + aead_tag_size);
  Bytes forged(sealed.size());
  const std::size_t before = allocations;
  ASSERT_GT(before, 0u) << "the counter does not count";
  bool is_right = true;
  for (int i = 0; i < 100; ++i) {
    keyed_->seal(nonce_, plaintext, {}, sealed);
    is_right = is_right && keyed_->open(nonce_, sealed, {}) && !keyed_->open(nonce_, forged, {});
  }
  EXPECT_EQ(allocations, before);
  EXPECT_TRUE(is_right);
#else
  GTEST_SKIP() << "sanitizers have an allocator of their own";
#endif
}

INSTANTIATE_TEST_SUITE_P(Aead, EachSuite, testing::Values(CipherSuite::ChaCha20Poly1305, CipherSuite::Aes256Gcm),
                         [](const auto& suite) {
                           return suite.param == CipherSuite::Aes256Gcm ? "Aes256Gcm" : "ChaCha20Poly1305";
                         });

}  // namespace
}  // namespace culvert
