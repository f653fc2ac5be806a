// One key in the hands of several threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "culvert/crypto/aead.hpp"
#include "culvert/crypto/initialize.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

SymmetricKey key_of(std::uint64_t seed) {
  SymmetricKey key;
  SeededRandom(seed).fill(key.writable_bytes());
  return key;
}

class AeadThreads : public ::testing::TestWithParam<CipherSuite> {};
INSTANTIATE_TEST_SUITE_P(EachSuite, AeadThreads,
                         ::testing::Values(CipherSuite::ChaCha20Poly1305, CipherSuite::Aes256Gcm, CipherSuite::None),
                         [](const auto& suite) { return "suite_" + std::to_string(static_cast<int>(suite.param)); });

TEST_P(AeadThreads, seal_and_open_with_one_key_as_each_would_alone) {
  initialize_crypto();
  if (!is_usable(GetParam())) GTEST_SKIP() << "this machine cannot use " << to_string(GetParam());
  constexpr std::uint64_t messages = 300;
  Aead shared(GetParam(), key_of(1));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (std::uint64_t number = 0; number < 4; ++number) {
    threads.emplace_back([&, number] {
      Aead alone(GetParam(), key_of(1));
      for (std::uint64_t i = 0; i < messages; ++i) {
        const std::uint64_t counter = number * messages + i;
        const std::vector<std::byte> plaintext(16 * (1 + i % 90), static_cast<std::byte>(counter));
        std::vector<std::byte> sealed(plaintext.size() + aead_tag_size);
        std::vector<std::byte> expected(sealed.size());
        shared.seal(counter, plaintext, {}, sealed);
        alone.seal(counter, plaintext, {}, expected);
        wrong += sealed != expected;
        wrong += !shared.open(counter, sealed, {});
        wrong += !std::ranges::equal(std::span(sealed).first(plaintext.size()), plaintext);
        if (GetParam() == CipherSuite::None) continue;
        expected[0] ^= std::byte{1};
        wrong += shared.open(counter, expected, {});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace culvert
