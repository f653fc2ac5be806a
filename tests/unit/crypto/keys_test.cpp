// Secrets in locked memory, and keys as text.
#include "culvert/crypto/keys.hpp"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>
#include <vector>

#include "culvert/base/endian.hpp"
#include "support/crypto_ready.hpp"
#include "support/hex.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

SecretKey secret_of(std::byte value) {
  SecretKey key;
  std::fill(key.writable_bytes().begin(), key.writable_bytes().end(), value);
  return key;
}

template <class T>
concept Streamable = requires(std::ostream& out, const T& value) {
  out << value;
};
template <class T>
concept Ordered = requires(const T& a, const T& b) {
  a < b;
};
template <class T>
concept Hashable = requires(const T& value) {
  std::hash<T>{}(value);
};

static_assert(!std::is_copy_constructible_v<SecretKey> && !std::is_copy_assignable_v<SecretKey>);
static_assert(std::is_nothrow_move_constructible_v<SecretKey> && std::is_nothrow_move_assignable_v<SecretKey>);
static_assert(!Streamable<SecretKey> && !Ordered<SecretKey> && !Hashable<SecretKey>);
static_assert(!std::is_convertible_v<SecretKey, PresharedKey> && !std::is_constructible_v<SecretKey, PresharedKey>);
static_assert(Ordered<PublicKey> && Hashable<PublicKey>);

TEST(Secret, begins_as_zero) {
  EXPECT_TRUE(SecretKey().is_zero());
  EXPECT_EQ(to_hex(SecretKey().bytes()), std::string(64, '0'));
}

TEST(Secret, is_zero_only_if_every_byte_is) {
  SecretKey key;
  for (std::byte& byte : key.writable_bytes()) {
    byte = std::byte{0x80};
    EXPECT_FALSE(key.is_zero());
    byte = std::byte{0};
  }
  EXPECT_TRUE(key.is_zero());
}

TEST(Secret, equals_only_if_every_byte_does) {
  const SecretKey key = secret_of(std::byte{0x55});
  SecretKey other = key.clone();
  EXPECT_TRUE(other == key);
  for (std::byte& byte : other.writable_bytes()) {
    byte ^= std::byte{1};
    EXPECT_FALSE(other == key);
    byte ^= std::byte{1};
  }
}

TEST(Secret, a_clone_has_memory_of_its_own) {
  SecretKey key = secret_of(std::byte{0x55});
  const SecretKey clone = key.clone();
  key.writable_bytes()[0] = std::byte{0};
  EXPECT_EQ(clone, secret_of(std::byte{0x55}));
}

TEST(Secret, moving_keeps_the_memory) {
  SecretKey key = secret_of(std::byte{0x55});
  const std::byte* memory = key.bytes().data();
  const SecretKey moved = std::move(key);
  EXPECT_EQ(moved.bytes().data(), memory);
  EXPECT_EQ(moved, secret_of(std::byte{0x55}));
}

// The pool keeps a free slot's memory and writes only a pointer to its start, so that the rest can be looked at.
bool is_wiped(const std::byte* slot) {
  return std::all_of(slot + sizeof(std::byte*), slot + key_size, [](std::byte byte) { return byte == std::byte{0}; });
}

TEST(Secret, is_wiped_when_it_goes) {
  const std::byte* memory = nullptr;
  {
    const SecretKey key = secret_of(std::byte{0x55});
    memory = key.bytes().data();
    EXPECT_FALSE(is_wiped(memory));
  }
  EXPECT_TRUE(is_wiped(memory));
}

TEST(Secret, is_wiped_at_once_when_assigned_to) {
  SecretKey key = secret_of(std::byte{0x55});
  const std::byte* memory = key.bytes().data();
  SecretKey next = secret_of(std::byte{0x66});
  key = std::move(next);
  EXPECT_TRUE(is_wiped(memory));
  EXPECT_EQ(key, secret_of(std::byte{0x66}));
}

TEST(Secret, survives_being_assigned_to_itself) {
  SecretKey key = secret_of(std::byte{0x55});
  SecretKey& same = key;
  key = std::move(same);
  EXPECT_EQ(key, secret_of(std::byte{0x55}));
}

TEST(Secret, memory_that_is_taken_again_is_zero) {
  const std::byte* memory = secret_of(std::byte{0x55}).bytes().data();
  const SecretKey next;
  EXPECT_EQ(next.bytes().data(), memory);
  EXPECT_TRUE(next.is_zero());
}

TEST(Secret, many_have_memory_of_their_own_and_give_it_back) {
  std::vector<const std::byte*> before;
  for (int round = 0; round < 2; ++round) {
    std::vector<SecretKey> keys;
    std::vector<const std::byte*> memory;
    for (std::size_t i = 0; i < 5000; ++i) {
      keys.emplace_back();
      store<Le64>(keys.back().writable_bytes().data(), i);
      memory.push_back(keys.back().bytes().data());
    }
    for (std::size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(load<Le64>(keys[i].bytes().data()), i);
    std::sort(memory.begin(), memory.end(), std::less<>());
    EXPECT_EQ(std::adjacent_find(memory.begin(), memory.end()), memory.end());
    if (round == 1) {
      EXPECT_EQ(memory, before);
    }
    before = memory;
  }
}

TEST(Secret, many_threads_may_take_and_give_back) {
  std::vector<std::thread> threads;
  for (int number = 0; number < 4; ++number) {
    threads.emplace_back([number] {
      for (int round = 0; round < 200; ++round) {
        std::vector<SecretKey> keys;
        for (int i = 0; i < 20; ++i) keys.push_back(secret_of(static_cast<std::byte>(number)));
        for (const SecretKey& key : keys) EXPECT_EQ(key, secret_of(static_cast<std::byte>(number)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// A secret in a static object goes after main has returned; the sanitizers would report a use of what is gone.
const SecretKey static_secret = secret_of(std::byte{0x77});

TEST(Secret, may_be_static) {
  EXPECT_EQ(static_secret, secret_of(std::byte{0x77}));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // both make mlock do nothing
/// The VmFlags line of the mapping that `memory` lies in (proc(5)).
std::string mapping_flags(const std::byte* memory) {
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool inside = false;
  while (std::getline(maps, line)) {
    std::istringstream fields(line);
    std::uintptr_t start = 0;
    std::uintptr_t end = 0;
    char dash = 0;
    if (fields >> std::hex >> start >> dash >> end && dash == '-') {
      const auto address = reinterpret_cast<std::uintptr_t>(memory);
      inside = start <= address && address < end;
    } else if (inside && line.starts_with("VmFlags:")) {
      return line + ' ';
    }
  }
  return {};
}

TEST(Secret, lives_in_memory_that_is_locked_and_not_dumped) {
  if (!secrets_are_locked()) GTEST_SKIP() << "the system refuses to lock memory";
  const SecretKey key;
  const std::string flags = mapping_flags(key.bytes().data());
  EXPECT_NE(flags.find(" lo "), std::string::npos) << flags;
  EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;
}

/// In a process that may lock nothing: takes more secrets than one slab holds. Exits 0 if they work, the refusal is
/// told, and the memory is at least kept out of core dumps.
[[noreturn]] void use_secrets_without_locking() {
  const rlimit nothing{0, 0};
  const bool restricted = setrlimit(RLIMIT_MEMLOCK, &nothing) == 0 && (geteuid() != 0 || setuid(65534) == 0);
  const bool locked_before = secrets_are_locked();
  std::vector<SecretKey> keys(20'000);
  keys.back() = secret_of(std::byte{0x55});
  const bool usable = keys.back() == secret_of(std::byte{0x55}) && keys.front().is_zero();
  prctl(PR_SET_DUMPABLE, 1);  // else smaps is not ours to read after setuid
  const bool kept_out = mapping_flags(keys.back().bytes().data()).find(" dd ") != std::string::npos;
  std::_Exit(restricted && locked_before && usable && kept_out && !secrets_are_locked() ? 0 : 1);
}

TEST(SecretDeathTest, works_unlocked_and_says_so_where_locking_is_refused) {
  if (!secrets_are_locked()) GTEST_SKIP() << "the system refuses to lock memory";
  EXPECT_EXIT(use_secrets_without_locking(), testing::ExitedWithCode(0), "");
}
#endif

// The example key of RFC 7748 section 6.1 (Alice's public one).
constexpr std::string_view hex_text = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
constexpr std::string_view base64_text = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";

TEST(KeyText, base64_goes_both_ways) {
  const auto bytes = array_from_hex<key_size>(hex_text);
  std::array<char, 44> text;
  key_to_base64(bytes, text);
  EXPECT_EQ(std::string_view(text.data(), text.size()), base64_text);
  SecretKey key;
  ASSERT_TRUE(key_from_base64(base64_text, key.writable_bytes()));
  EXPECT_EQ(to_hex(key.bytes()), hex_text);
  EXPECT_EQ(PublicKey(bytes).to_base64(), base64_text);
}

TEST(KeyText, base64_uses_the_whole_alphabet) {
  SeededRandom random(1);
  for (int round = 0; round < 100; ++round) {
    std::array<std::byte, key_size> bytes, back;
    random.fill(bytes);
    ASSERT_TRUE(key_from_base64(PublicKey(bytes).to_base64(), back));
    EXPECT_EQ(back, bytes);
  }
}

void refuses_base64(std::string_view text) {
  SecretKey key = secret_of(std::byte{0x55});
  EXPECT_FALSE(key_from_base64(text, key.writable_bytes())) << '"' << text << '"';
  EXPECT_TRUE(key.is_zero()) << '"' << text << '"';
}

TEST(KeyText, base64_of_any_other_length_is_refused) {
  const std::string text(base64_text);
  for (std::size_t size = 0; size < text.size(); ++size) refuses_base64(text.substr(0, size));
  refuses_base64(text + "=");
  refuses_base64(text + "\n");
  refuses_base64(text + '\0');
  refuses_base64(text + text);
  refuses_base64(text.substr(0, 43) + "A");   // 33 bytes
  refuses_base64(text.substr(0, 42) + "==");  // 31 bytes
  refuses_base64(text.substr(0, 40) + "====");
}

TEST(KeyText, base64_with_bits_that_do_not_count_is_refused) {
  std::string text(base64_text);
  ASSERT_EQ(text[42], 'o');  // 101000: the last two bits belong to no byte
  for (const char other : {'p', 'q', 'r'}) {
    text[42] = other;
    refuses_base64(text);
  }
}

TEST(KeyText, a_character_outside_base64_is_refused_in_every_place) {
  for (std::size_t i = 0; i < base64_text.size(); ++i) {
    for (const char wrong : {' ', '\n', '\0', '-', '_', '!', '=', '\x80', '\xff'}) {
      std::string text(base64_text);
      if (text[i] == wrong) continue;
      text[i] = wrong;
      refuses_base64(text);
    }
  }
}

TEST(KeyText, hex_goes_both_ways) {
  SecretKey key;
  ASSERT_TRUE(key_from_hex(hex_text, key.writable_bytes()));
  EXPECT_EQ(to_hex(key.bytes()), hex_text);
  std::array<char, 64> text;
  key_to_hex(key.bytes(), text);
  EXPECT_EQ(std::string_view(text.data(), text.size()), hex_text);
}

TEST(KeyText, hex_may_have_capitals) {
  std::string capitals(hex_text);
  for (char& digit : capitals) digit = static_cast<char>(std::toupper(digit));
  SecretKey key;
  ASSERT_TRUE(key_from_hex(capitals, key.writable_bytes()));
  EXPECT_EQ(to_hex(key.bytes()), hex_text);
}

void refuses_hex(std::string_view text) {
  SecretKey key = secret_of(std::byte{0x55});
  EXPECT_FALSE(key_from_hex(text, key.writable_bytes())) << '"' << text << '"';
  EXPECT_TRUE(key.is_zero()) << '"' << text << '"';
}

TEST(KeyText, hex_of_any_other_length_is_refused) {
  const std::string text(hex_text);
  for (std::size_t size = 0; size < text.size(); ++size) refuses_hex(text.substr(0, size));
  refuses_hex(text + "0");
  refuses_hex(text + "00");
  refuses_hex(text + "\n");
  refuses_hex(text + '\0');
  refuses_hex("0x" + text.substr(2));
}

TEST(KeyText, a_character_outside_hex_is_refused_in_every_place) {
  for (std::size_t i = 0; i < hex_text.size(); ++i) {
    for (const char wrong : {' ', ':', 'g', 'G', '/', '@', '`', '\0', '\xff'}) {
      std::string text(hex_text);
      text[i] = wrong;
      refuses_hex(text);
    }
  }
}

TEST(PublicKey, is_a_value_with_order_and_hash) {
  const PublicKey key(array_from_hex<key_size>(hex_text));
  const PublicKey same(array_from_hex<key_size>(hex_text));
  EXPECT_EQ(key, same);
  EXPECT_EQ(std::hash<PublicKey>{}(key), std::hash<PublicKey>{}(same));
  EXPECT_NE(key, PublicKey());
  EXPECT_LT(PublicKey(), key);
  EXPECT_TRUE(PublicKey().is_zero());
  EXPECT_FALSE(key.is_zero());
}

TEST(Wipe, makes_all_of_the_memory_zero_and_nothing_else) {
  auto memory = from_hex("0102030405");
  wipe(ByteSpan(memory).subspan(1, 3));
  EXPECT_EQ(to_hex(memory), "0100000005");
  wipe({});
}

TEST(EqualInConstantTime, tells_sizes_and_contents_apart) {
  const auto bytes = from_hex("010203");
  EXPECT_TRUE(equal_in_constant_time(bytes, from_hex("010203")));
  EXPECT_FALSE(equal_in_constant_time(bytes, from_hex("000203")));
  EXPECT_FALSE(equal_in_constant_time(bytes, from_hex("010202")));
  EXPECT_FALSE(equal_in_constant_time(bytes, from_hex("0102")));
  EXPECT_FALSE(equal_in_constant_time(bytes, from_hex("01020300")));
  EXPECT_FALSE(equal_in_constant_time(bytes, {}));
  EXPECT_TRUE(equal_in_constant_time({}, {}));
}

}  // namespace
}  // namespace culvert
