// That secrets are gone when they should be: looks for them in all of the process's own memory.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>

#include "support/peer_pair.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CULVERT_HAS_SHADOW_MEMORY 1
#else
#define CULVERT_HAS_SHADOW_MEMORY 0
#endif

namespace culvert {
namespace {

using namespace std::chrono_literals;

using HiddenKey = std::array<std::byte, 32>;

/// Keys are kept turned over here, so that the list of what to look for is not what is found.
HiddenKey hidden(ByteView key) {
  HiddenKey result{};
  std::transform(key.begin(), key.end(), result.begin(), [](std::byte byte) { return ~byte; });
  return result;
}

/// How often `key` occurs in the writable memory of this process.
std::size_t occurrences(const HiddenKey& key) {
  std::size_t count = 0;
  std::ifstream maps("/proc/self/maps");
  const int memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  std::string line;
  std::vector<std::byte> chunk;
  while (std::getline(maps, line)) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    char readable = 0;
    char writable = 0;
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %c%c", &begin, &end, &readable, &writable) != 4) continue;
    if (readable != 'r' || writable != 'w') continue;
    chunk.resize(end - begin);
    if (::pread(memory, chunk.data(), chunk.size(), static_cast<off_t>(begin)) <= 0) continue;
    const auto matches = [&](const std::byte* at) {
      for (std::size_t i = 0; i < key.size(); ++i) {
        if (at[i] != ~key[i]) return false;
      }
      return true;
    };
    for (std::size_t i = 0; i + key.size() <= chunk.size(); ++i) {
      if (matches(&chunk[i])) ++count;
    }
    std::fill(chunk.begin(), chunk.end(), std::byte{0});
  }
  ::close(memory);
  return count;
}

/// Remembers, turned over, each piece of 32 bytes it gave: the ephemeral secrets.
class RememberingRandom final : public Random {
 public:
  void fill(ByteSpan out) noexcept override {
    random_.fill(out);
    if (out.size() == key_size) given.push_back(hidden(out));
  }
  std::vector<HiddenKey> given;

 private:
  SeededRandom random_{12345};
};

/// The stack below is overwritten by whatever runs next; here by zeros, so that the test does not depend on that.
[[gnu::noinline]] void clear_stack() {
  std::array<volatile std::byte, 64 * 1024> stack;
  for (auto& byte : stack) byte = std::byte{0};
}

class ForgottenSecrets : public testing::Test {
 protected:
  void SetUp() override {
    if (CULVERT_HAS_SHADOW_MEMORY) GTEST_SKIP() << "sanitizers keep copies and terabytes of shadow";
    a_.set_private_key(secret_of_a());
    const PeerId id = a_.ensure_peer(b_.public_key)->id;
    a_.add_allowed_ip(id, {b_.inner, 32});
    a_.set_endpoint(id, b_.endpoint);
    b_.engine.ensure_peer(a_.identity()->public_key);
    b_.engine.add_allowed_ip(b_.engine.find_peer(a_.identity()->public_key)->id, {Address(), 0});
  }

  SecretKey secret_of_a() {
    SeededRandom random(77);
    return generate_secret_key(random);
  }
  /// generate_secret_key() clamps what it was given (RFC 7748 section 5).
  static HiddenKey clamped(HiddenKey key) {
    key[0] |= std::byte{7};
    key[31] |= std::byte{0x80};
    key[31] &= std::byte{0xbf};
    return key;
  }
  void initiate() { a_.on_frame(PacketBuilder{*Address::parse("10.0.0.1"), b_.inner}.udp_of_size(60), now_, out_); }
  void finish_handshake() {
    for (const SentDatagram& sent : out_.take()) b_.receive(place_of_a_, sent.bytes, now_);
    for (SentDatagram& sent : b_.out.take())
      a_.on_datagram(Path{b_.endpoint, {}, 0}, 0, sent.bytes, now_, frames_, out_);
    clear_stack();
  }
  std::size_t found(const HiddenKey& key) {
    clear_stack();
    return occurrences(clamped(key)) + occurrences(key);
  }

  const Endpoint place_of_a_ = *Endpoint::parse("192.0.2.1:1001");
  Now now_{Timestamp(1h), WallTime(1'700'000'000s)};
  RememberingRandom random_;
  Engine a_{random_, limits::default_mtu};
  EngineNode b_{2, limits::default_mtu, *Endpoint::parse("192.0.2.2:1002"), *Address::parse("10.0.0.2")};
  RecordingDatagramSink out_;
  RecordingFrameSink frames_;
};

TEST_F(ForgottenSecrets, the_ephemeral_secret_is_gone_once_a_session_is_derived) {
  initiate();
  ASSERT_EQ(random_.given.size(), 1U);
  EXPECT_GT(found(random_.given[0]), 0U) << "cannot find what must be there";
  finish_handshake();
  ASSERT_NE(a_.find_peer(b_.public_key)->sessions.current(), nullptr);
  EXPECT_EQ(found(random_.given[0]), 0U);
}

TEST_F(ForgottenSecrets, the_ephemeral_secret_of_a_handshake_given_up_is_gone_with_its_keys) {
  initiate();
  Now later = now_;
  for (int i = 0; i < 700; ++i) {
    later.time += 1s;
    later.wall += 1s;
    a_.on_deadline(later, out_);
  }
  EXPECT_EQ(random_.given.size(), 20U);
  for (const HiddenKey& key : random_.given) EXPECT_EQ(found(key), 0U);
}

TEST_F(ForgottenSecrets, the_ephemeral_secret_is_gone_with_its_peer) {
  initiate();
  a_.remove_peer(a_.find_peer(b_.public_key)->id);
  EXPECT_EQ(found(random_.given.at(0)), 0U);
}

TEST_F(ForgottenSecrets, a_private_key_is_gone_when_another_is_set) {
  HiddenKey old{};
  {
    const SecretKey key = secret_of_a();
    old = hidden(key.bytes());
  }
  EXPECT_GT(found(old), 0U) << "cannot find what must be there";
  SeededRandom random(78);
  a_.set_private_key(generate_secret_key(random));
  EXPECT_EQ(found(old), 0U);
}

}  // namespace
}  // namespace culvert
