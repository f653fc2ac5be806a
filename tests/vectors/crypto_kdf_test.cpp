// HMAC-BLAKE2s and HKDF against Python's.
#include <gtest/gtest.h>

#include "crypto_kdf_vectors.hpp"
#include "culvert/crypto/hash.hpp"
#include "culvert/crypto/kdf.hpp"
#include "support/crypto_ready.hpp"
#include "support/hex.hpp"

namespace culvert {
namespace {

TEST(HmacVectors, equal_those_of_an_independent_implementation) {
  for (const HmacVector& vector : hmac_vectors) {
    Digest mac;
    hmac_blake2s(from_hex(vector.key), {from_hex(vector.message)}, mac);
    EXPECT_EQ(to_hex(mac), vector.mac) << "key " << vector.key;
  }
}

TEST(KdfVectors, equal_those_of_an_independent_implementation) {
  for (const KdfVector& vector : kdf_vectors) {
    const auto key = array_from_hex<key_size>(vector.key);
    const auto input = from_hex(vector.input);
    ChainingKey first, second, third;
    kdf1(key, input, first.writable_bytes());
    EXPECT_EQ(to_hex(first.bytes()), vector.first);
    kdf2(key, input, first.writable_bytes(), second.writable_bytes());
    EXPECT_EQ(to_hex(first.bytes()), vector.first);
    EXPECT_EQ(to_hex(second.bytes()), vector.second);
    kdf3(key, input, first.writable_bytes(), second.writable_bytes(), third.writable_bytes());
    EXPECT_EQ(to_hex(first.bytes()), vector.first);
    EXPECT_EQ(to_hex(second.bytes()), vector.second);
    EXPECT_EQ(to_hex(third.bytes()), vector.third);
  }
}

}  // namespace
}  // namespace culvert
