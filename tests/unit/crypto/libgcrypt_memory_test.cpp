// Key schedules of every suite lie in memory that is locked and in no core dump, and are gone with the cipher.
#include <gcrypt.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "culvert/crypto/aead.hpp"
#include "culvert/crypto/initialize.hpp"
#include "support/crypto_ready.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // both make mlock do nothing
// A key is kept turned over here, so that what is looked for is not what is found.
using HiddenKey = std::array<std::byte, key_size>;

struct Found {
  std::size_t locked = 0;
  std::size_t elsewhere = 0;
};

std::size_t occurrences(const HiddenKey& key, const std::byte* begin, const std::byte* end) {
  std::size_t count = 0;
  for (; begin + key.size() <= end; begin += 8) {
    count +=
        std::equal(key.begin(), key.end(), begin, [](std::byte hidden, std::byte byte) { return hidden == ~byte; });
  }
  return count;
}

/// Where `key` lies in the writable memory of this process; libraries align it.
Found find(const HiddenKey& key) {
  std::stringstream maps;
  maps << std::ifstream("/proc/self/smaps").rdbuf();
  Found found;
  const std::byte* begin = nullptr;
  const std::byte* end = nullptr;
  std::string line;
  while (std::getline(maps, line)) {
    std::istringstream fields(line);
    std::uintptr_t from = 0;
    std::uintptr_t to = 0;
    char dash = 0;
    std::string rights;
    if (fields >> std::hex >> from >> dash >> to >> rights && dash == '-') {
      const bool is_memory = rights.starts_with("rw") && line.find("/dev/") == std::string::npos;
      begin = is_memory ? reinterpret_cast<const std::byte*>(from) : nullptr;
      end = is_memory ? reinterpret_cast<const std::byte*>(to) : nullptr;
    } else if (line.starts_with("VmFlags:") && begin != nullptr) {
      line += ' ';
      const bool is_safe = line.find(" lo ") != std::string::npos && line.find(" dd ") != std::string::npos;
      (is_safe ? found.locked : found.elsewhere) += occurrences(key, begin, end);
    }
  }
  return found;
}

SymmetricKey make_key(HiddenKey& hidden) {
  SymmetricKey key;
  SeededRandom(99).fill(key.writable_bytes());
  std::ranges::transform(key.bytes(), hidden.begin(), [](std::byte byte) { return ~byte; });
  return key;
}

TEST(LibgcryptMemory, keys_of_aes_lie_in_locked_memory_and_go_with_the_cipher) {
  if (!is_usable(CipherSuite::Aes256Gcm)) GTEST_SKIP() << "not on this machine";
  if (!secrets_are_locked()) GTEST_SKIP() << "the system refuses to lock memory";
  HiddenKey hidden;
  {
    Aead aead(CipherSuite::Aes256Gcm, make_key(hidden));
    std::array<std::byte, 80> sealed{};
    aead.seal(0, ByteView(sealed).first(64), {}, sealed);
    const Found found = find(hidden);
    EXPECT_GE(found.locked, 1U) << "the first round keys are the key itself";
    EXPECT_EQ(found.elsewhere, 0U);
  }
  const Found found = find(hidden);
  EXPECT_EQ(found.locked + found.elsewhere, 0U);
}
#endif

TEST(LibgcryptMemory, what_is_lent_can_grow_and_shrink_and_is_aligned) {
  auto* memory = static_cast<char*>(gcry_malloc(100));
  ASSERT_NE(memory, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % 16, 0U);
  std::memset(memory, 'x', 100);
  for (const std::size_t size : {200UL, 2032UL, 2033UL, 100'000UL, 50UL}) {
    memory = static_cast<char*>(gcry_realloc(memory, size));
    ASSERT_NE(memory, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % 16, 0U);
    EXPECT_EQ(std::string(memory, 50), std::string(50, 'x')) << size;
  }
  gcry_free(memory);
  gcry_free(nullptr);
  EXPECT_EQ(gcry_malloc(SIZE_MAX - 4), nullptr);
}

}  // namespace
}  // namespace culvert
