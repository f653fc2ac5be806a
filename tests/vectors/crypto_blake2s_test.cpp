// BLAKE2s against RFC 7693.
#include <gcrypt.h>
#include <gtest/gtest.h>

#include "culvert/crypto/hash.hpp"
#include "support/crypto_ready.hpp"
#include "support/hex.hpp"

namespace culvert {
namespace {

TEST(Blake2sVectors, abc_hashes_as_in_rfc_7693_appendix_b) {
  EXPECT_EQ(to_hex(blake2s({bytes_of("abc")})), "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
}

/// The test pattern of RFC 7693 appendix E: a Fibonacci generator.
std::vector<std::byte> selftest_sequence(std::size_t size, std::uint32_t seed) {
  std::vector<std::byte> out;
  std::uint32_t a = 0xDEAD4BAD * seed;
  std::uint32_t b = 1;
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint32_t t = a + b;
    a = b;
    b = t;
    out.push_back(static_cast<std::byte>(t >> 24));
  }
  return out;
}

/// BLAKE2s of any size straight from the library; `key` may be empty.
std::vector<std::byte> library_blake2s(std::size_t size, ByteView key, ByteView message) {
  const int algorithm = size == 16   ? GCRY_MD_BLAKE2S_128
                        : size == 20 ? GCRY_MD_BLAKE2S_160
                        : size == 28 ? GCRY_MD_BLAKE2S_224
                                     : GCRY_MD_BLAKE2S_256;
  gcry_md_hd_t handle = nullptr;
  EXPECT_EQ(gcry_md_open(&handle, algorithm, 0), 0U);
  if (!key.empty()) {
    EXPECT_EQ(gcry_md_setkey(handle, key.data(), key.size()), 0U);
  }
  gcry_md_write(handle, message.data(), message.size());
  const auto* digest = reinterpret_cast<const std::byte*>(gcry_md_read(handle, algorithm));
  std::vector<std::byte> out(digest, digest + size);
  gcry_md_close(handle);
  return out;
}

std::vector<std::byte> hash(std::size_t size, ByteView message) {
  if (size != 32) return library_blake2s(size, {}, message);
  const Digest digest = blake2s({message});
  return {digest.begin(), digest.end()};
}

std::vector<std::byte> keyed_hash(std::size_t size, ByteView key, ByteView message) {
  if (size != 16) return library_blake2s(size, key, message);
  const Mac mac = keyed_blake2s(key, {message});
  return {mac.begin(), mac.end()};
}

// The grand hash covers four digest sizes. The two that culvert has come from culvert, the others from the library.
TEST(Blake2sVectors, grand_hash_is_that_of_rfc_7693_appendix_e) {
  std::vector<std::byte> digests;
  for (const std::size_t size : {16U, 20U, 28U, 32U}) {
    for (const std::size_t length : {0U, 3U, 64U, 65U, 255U, 1024U}) {
      const auto message = selftest_sequence(length, static_cast<std::uint32_t>(length));
      const auto key = selftest_sequence(size, static_cast<std::uint32_t>(size));
      const auto plain = hash(size, message);
      const auto keyed = keyed_hash(size, key, message);
      digests.insert(digests.end(), plain.begin(), plain.end());
      digests.insert(digests.end(), keyed.begin(), keyed.end());
    }
  }
  EXPECT_EQ(to_hex(blake2s({digests})), "6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe");
}

}  // namespace
}  // namespace culvert
