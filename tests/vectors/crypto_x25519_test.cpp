// X25519 against RFC 7748, and points it must refuse.
#include <gtest/gtest.h>

#include "culvert/crypto/key_exchange.hpp"
#include "support/crypto_ready.hpp"
#include "support/hex.hpp"

namespace culvert {
namespace {

SecretKey secret_from(std::string_view hex) {
  return SecretKey(array_from_hex<key_size>(hex));
}
PublicKey public_from(std::string_view hex) {
  return PublicKey(array_from_hex<key_size>(hex));
}

std::string exchanged(std::string_view scalar, std::string_view point) {
  SharedSecret shared;
  EXPECT_TRUE(key_exchange(secret_from(scalar), public_from(point), shared));
  return to_hex(shared.bytes());
}

TEST(X25519Vectors, multiplies_as_in_rfc_7748_section_5_2) {
  EXPECT_EQ(exchanged("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                      "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
  EXPECT_EQ(exchanged("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                      "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493"),
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
}

TEST(X25519Vectors, iterates_as_in_rfc_7748_section_5_2) {
  std::string scalar = "0900000000000000000000000000000000000000000000000000000000000000";
  std::string point = scalar;
  for (int round = 1; round <= 1000; ++round) {
    point = std::exchange(scalar, exchanged(scalar, point));
    if (round == 1) {
      EXPECT_EQ(scalar, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
  }
  EXPECT_EQ(scalar, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

TEST(X25519Vectors, agrees_on_the_secret_of_rfc_7748_section_6_1) {
  constexpr std::string_view alice = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
  constexpr std::string_view bob = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
  constexpr std::string_view alice_public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
  constexpr std::string_view bob_public = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
  constexpr std::string_view shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
  EXPECT_EQ(public_key_of(secret_from(alice)), public_from(alice_public));
  EXPECT_EQ(public_key_of(secret_from(bob)), public_from(bob_public));
  EXPECT_EQ(exchanged(alice, bob_public), shared);
  EXPECT_EQ(exchanged(bob, alice_public), shared);
}

// The u-coordinates of the points of order 1, 2, 4 and 8 on the curve and its twist, in all their encodings below 2^255
// (https://cr.yp.to/ecdh.html#validate).
constexpr std::string_view low_order_points[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

TEST(X25519Vectors, every_low_order_point_is_refused_and_leaves_zero) {
  const SecretKey ours = secret_from("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  for (const std::string_view point : low_order_points) {
    auto bytes = array_from_hex<key_size>(point);
    // RFC 7748 section 5 has the top bit ignored, so it must not hide the point either.
    for (const std::byte top_bit : {std::byte{0}, std::byte{0x80}}) {
      bytes[31] |= top_bit;
      SharedSecret shared(array_from_hex<key_size>(std::string(64, 'f')));
      EXPECT_FALSE(key_exchange(ours, PublicKey(bytes), shared)) << to_hex(bytes);
      EXPECT_TRUE(shared.is_zero()) << to_hex(bytes);
    }
  }
}

}  // namespace
}  // namespace culvert
