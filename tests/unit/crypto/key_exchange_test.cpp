// Making key pairs and agreeing on secrets; values are checked in tests/vectors.
#include "culvert/crypto/key_exchange.hpp"

#include <gtest/gtest.h>

#include "support/crypto_ready.hpp"
#include "support/hex.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

/// Fills with one byte value, which leaves clamping nowhere to hide.
class ConstantRandom final : public Random {
 public:
  explicit ConstantRandom(std::byte value) noexcept : value_(value) {}
  void fill(ByteSpan out) noexcept override { std::fill(out.begin(), out.end(), value_); }

 private:
  std::byte value_;
};

TEST(KeyExchange, new_secret_keys_are_clamped) {
  ConstantRandom ones(std::byte{0xff});
  const SecretKey of_ones = generate_secret_key(ones);
  EXPECT_EQ(to_hex(of_ones.bytes()), "f8" + std::string(60, 'f') + "7f");
  ConstantRandom zeros(std::byte{0});
  const SecretKey of_zeros = generate_secret_key(zeros);
  EXPECT_EQ(to_hex(of_zeros.bytes()), std::string(62, '0') + "40");
}

TEST(KeyExchange, new_secret_keys_come_from_the_given_source) {
  SeededRandom first(1), same(1), other(2);
  const SecretKey key = generate_secret_key(first);
  EXPECT_EQ(key, generate_secret_key(same));
  EXPECT_FALSE(key == generate_secret_key(other));
  EXPECT_FALSE(key == generate_secret_key(first));
}

TEST(KeyExchange, both_sides_get_the_same_secret) {
  SeededRandom random(3);
  for (int round = 0; round < 20; ++round) {
    const SecretKey ours = generate_secret_key(random);
    const SecretKey theirs = generate_secret_key(random);
    SharedSecret here, there;
    ASSERT_TRUE(key_exchange(ours, public_key_of(theirs), here));
    ASSERT_TRUE(key_exchange(theirs, public_key_of(ours), there));
    EXPECT_EQ(here, there);
    EXPECT_FALSE(here.is_zero());
  }
}

TEST(KeyExchange, a_third_party_gets_another_secret) {
  SeededRandom random(4);
  const SecretKey ours = generate_secret_key(random);
  const SecretKey theirs = generate_secret_key(random);
  const SecretKey third = generate_secret_key(random);
  SharedSecret here, there;
  ASSERT_TRUE(key_exchange(ours, public_key_of(theirs), here));
  ASSERT_TRUE(key_exchange(third, public_key_of(theirs), there));
  EXPECT_FALSE(here == there);
}

TEST(KeyExchange, a_public_key_of_zero_is_refused_and_leaves_zero) {
  SeededRandom random(5);
  SharedSecret shared;
  random.fill(shared.writable_bytes());
  EXPECT_FALSE(key_exchange(generate_secret_key(random), PublicKey(), shared));
  EXPECT_TRUE(shared.is_zero());
}

}  // namespace
}  // namespace culvert
