// BLAKE2s over parts, keyed and in HMAC.
#include "culvert/crypto/hash.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
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

Digest hmac(ByteView key, std::initializer_list<ByteView> parts) {
  Digest out;
  hmac_blake2s(key, parts, out);
  return out;
}

TEST(Blake2s, of_nothing_is_the_hash_of_the_empty_message) {
  // Python: hashlib.blake2s().hexdigest()
  constexpr std::string_view empty = "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9";
  EXPECT_EQ(to_hex(blake2s({})), empty);
  EXPECT_EQ(to_hex(blake2s({ByteView()})), empty);
  EXPECT_EQ(to_hex(blake2s({ByteView(), ByteView(), ByteView(), ByteView()})), empty);
}

TEST(Blake2s, of_parts_is_that_of_their_concatenation) {
  const auto whole = random_bytes(200, 1);
  const ByteView view = whole;
  EXPECT_EQ(blake2s({view.first(1), view.subspan(1, 63), view.subspan(64, 65), view.subspan(129)}), blake2s({view}));
  EXPECT_EQ(blake2s({view.first(100), ByteView(), view.subspan(100)}), blake2s({view}));
  EXPECT_NE(blake2s({view.first(100)}), blake2s({view}));
}

TEST(KeyedBlake2s, of_parts_is_that_of_their_concatenation) {
  const auto key = random_bytes(32, 2);
  const auto whole = random_bytes(200, 3);
  const ByteView view = whole;
  EXPECT_EQ(keyed_blake2s(key, {view.first(1), view.subspan(1, 63), view.subspan(64)}), keyed_blake2s(key, {view}));
}

TEST(KeyedBlake2s, takes_keys_of_1_to_32_bytes) {
  // Python: hashlib.blake2s(b"abc", key=bytes(range(size)), digest_size=16).hexdigest()
  const auto key = from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  EXPECT_EQ(to_hex(keyed_blake2s(ByteView(key).first(1), {bytes_of("abc")})), "b0b50abcc8035f261e99bc69470f14d3");
  EXPECT_EQ(to_hex(keyed_blake2s(ByteView(key).first(16), {bytes_of("abc")})), "75296c2d2c0f51210b383f386bc8b1ff");
  EXPECT_EQ(to_hex(keyed_blake2s(key, {bytes_of("abc")})), "61ba5f165c194692e09d12520cc4c74a");
}

TEST(KeyedBlake2s, is_neither_the_plain_hash_nor_that_of_another_key) {
  const Mac mac = keyed_blake2s(random_bytes(32, 4), {bytes_of("abc")});
  const Digest plain = blake2s({bytes_of("abc")});
  EXPECT_NE(to_hex(mac), to_hex(ByteView(plain).first(16)));
  auto key = random_bytes(32, 4);
  key[31] ^= std::byte{1};
  EXPECT_NE(keyed_blake2s(key, {bytes_of("abc")}), mac);
}

TEST(KeyedBlake2s, carries_nothing_over_from_one_call_to_the_next) {
  const auto key = random_bytes(32, 5);
  const Mac first = keyed_blake2s(key, {bytes_of("abc")});
  (void)keyed_blake2s(random_bytes(7, 6), {random_bytes(1000, 7)});
  EXPECT_EQ(keyed_blake2s(key, {bytes_of("abc")}), first);
}

TEST(KeyedBlake2s, is_the_same_on_every_thread) {
  const auto key = random_bytes(32, 5);
  const Mac here = keyed_blake2s(key, {bytes_of("abc")});
  Mac there{};
  std::thread([&] { there = keyed_blake2s(key, {bytes_of("abc")}); }).join();
  EXPECT_EQ(there, here);
}

TEST(HmacBlake2s, of_parts_is_that_of_their_concatenation) {
  const auto key = random_bytes(32, 8);
  const auto whole = random_bytes(150, 9);
  const ByteView view = whole;
  EXPECT_EQ(hmac(key, {view.first(1), view.subspan(1, 99), view.subspan(100)}), hmac(key, {view}));
}

TEST(HmacBlake2s, depends_on_key_and_message) {
  const auto key = random_bytes(32, 10);
  const Digest mac = hmac(key, {bytes_of("abc")});
  EXPECT_NE(hmac(random_bytes(32, 11), {bytes_of("abc")}), mac);
  EXPECT_NE(hmac(key, {bytes_of("abd")}), mac);
}

TEST(HmacBlake2s, may_write_over_its_key_and_its_message) {
  auto memory = random_bytes(32, 12);
  const Digest expected = hmac(memory, {memory});
  hmac_blake2s(memory, {memory}, std::span<std::byte, 32>(memory));
  EXPECT_EQ(to_hex(memory), to_hex(expected));
}

}  // namespace
}  // namespace culvert
