// Curve25519 points on which every Diffie-Hellman result is zero.
#pragma once

#include <vector>

#include "culvert/crypto/keys.hpp"
#include "support/hex.hpp"

namespace culvert {

/// The seven encodings of points of order 1, 2, 4 and 8, canonical or not (https://cr.yp.to/ecdh.html#validate).
inline std::vector<PublicKey> low_order_points() {
  std::vector<PublicKey> points;
  for (const char* digits : {
           "0000000000000000000000000000000000000000000000000000000000000000",
           "0100000000000000000000000000000000000000000000000000000000000000",
           "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
           "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
       }) {
    points.emplace_back(array_from_hex<32>(digits));
  }
  return points;
}

}  // namespace culvert
