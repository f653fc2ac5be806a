// The operating system's random numbers.
#include "culvert/crypto/system_random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "support/crypto_ready.hpp"

namespace culvert {
namespace {

TEST(SystemRandom, fills_all_of_the_memory_and_nothing_else) {
  SystemRandom random;
  std::array<bool, 64> changed{};
  for (int round = 0; round < 20; ++round) {
    std::array<std::byte, 66> memory{};
    random.fill(ByteSpan(memory).subspan(1, 64));
    EXPECT_EQ(memory.front(), std::byte{0});
    EXPECT_EQ(memory.back(), std::byte{0});
    for (std::size_t i = 0; i < changed.size(); ++i) changed[i] = changed[i] || memory[i + 1] != std::byte{0};
  }
  // A byte that is zero 20 times in a row by chance happens once in 2^160.
  for (const bool one : changed) EXPECT_TRUE(one);
}

TEST(SystemRandom, does_not_repeat_itself) {
  SystemRandom random;
  std::set<std::array<std::byte, 16>> seen;
  for (int round = 0; round < 100; ++round) {
    std::array<std::byte, 16> bytes;
    random.fill(bytes);
    EXPECT_TRUE(seen.insert(bytes).second);
  }
}

TEST(SystemRandom, nothing_can_be_filled) {
  SystemRandom().fill({});
}

}  // namespace
}  // namespace culvert
