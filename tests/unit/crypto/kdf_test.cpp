// HKDF with overlapping memory; its values are checked in tests/vectors.
#include "culvert/crypto/kdf.hpp"

#include <gtest/gtest.h>

#include "support/crypto_ready.hpp"
#include "support/hex.hpp"

namespace culvert {
namespace {

const auto key = array_from_hex<key_size>("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

TEST(Kdf, the_first_output_may_replace_the_key) {
  ChainingKey apart, in_place(key), second, second_in_place, third;
  kdf1(key, bytes_of("input"), apart.writable_bytes());
  kdf1(in_place.bytes(), bytes_of("input"), in_place.writable_bytes());
  EXPECT_EQ(in_place, apart);

  in_place = ChainingKey(key);
  kdf2(key, bytes_of("input"), apart.writable_bytes(), second.writable_bytes());
  kdf2(in_place.bytes(), bytes_of("input"), in_place.writable_bytes(), second_in_place.writable_bytes());
  EXPECT_EQ(in_place, apart);
  EXPECT_EQ(second_in_place, second);

  in_place = ChainingKey(key);
  kdf3(in_place.bytes(), bytes_of("input"), in_place.writable_bytes(), second_in_place.writable_bytes(),
       third.writable_bytes());
  EXPECT_EQ(in_place, apart);
  EXPECT_EQ(second_in_place, second);
}

TEST(Kdf, outputs_differ_from_each_other_and_with_the_inputs) {
  ChainingKey first, second, third, other;
  kdf3(key, bytes_of("input"), first.writable_bytes(), second.writable_bytes(), third.writable_bytes());
  EXPECT_FALSE(first == second);
  EXPECT_FALSE(second == third);
  EXPECT_FALSE(first == third);
  kdf1(key, bytes_of("inpuu"), other.writable_bytes());
  EXPECT_FALSE(other == first);
  kdf1(second.bytes(), bytes_of("input"), other.writable_bytes());
  EXPECT_FALSE(other == first);
}

TEST(Kdf, an_empty_input_is_an_input) {
  ChainingKey first;
  kdf1(key, {}, first.writable_bytes());
  EXPECT_FALSE(first.is_zero());
}

}  // namespace
}  // namespace culvert
