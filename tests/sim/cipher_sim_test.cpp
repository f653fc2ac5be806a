// Cipher suites between hosts: equal ones carry everything, different ones nothing, and both ends know why.
#include <gtest/gtest.h>

#include "culvert/crypto/aead.hpp"
#include "sim/world.hpp"

namespace culvert::sim {
namespace {

using namespace std::chrono_literals;

class Ciphers : public testing::TestWithParam<std::pair<CipherChoice, CipherChoice>> {
 protected:
  void SetUp() override {
    world_.add_host();
    world_.add_host();
    if (!is_usable(GetParam().first.suite()) || !is_usable(GetParam().second.suite()))
      GTEST_SKIP() << "not on this machine";
    world_[0].cipher = GetParam().first;
    world_[1].cipher = GetParam().second;
    world_.restart(0);
    world_.restart(1);
    world_.introduce(0, 1);
  }
  void talk(Duration duration) {
    for (const Timestamp end = world_.clock.time() + duration; world_.clock.time() < end;) {
      numbers_.push_back(world_.send(0, 1));
      numbers_.push_back(world_.send(1, 0));
      world_.run_for(500ms);
    }
    world_.run_for(1s);
  }

  World world_{seed_or(1)};
  std::vector<std::uint64_t> numbers_;
};

class EqualCiphers : public Ciphers {};

TEST_P(EqualCiphers, carry_everything_through_several_sessions) {
  talk(300s);
  for (const std::uint64_t number : numbers_) EXPECT_TRUE(world_.was_delivered(number)) << number;
  const auto type = std::size_t(data_type_of(GetParam().first.suite()));
  for (const HostId host : {0u, 1u}) {
    EXPECT_GT(world_[host].sent_by_type[type], 300U);
    for (const auto& [other, count] : world_[host].sent_by_type) EXPECT_TRUE(other <= 3 || other == type) << other;
    EXPECT_EQ(world_[host].engine->drops()[DropReason::CipherMismatch], 0U);
  }
}

class DifferentCiphers : public Ciphers {};

TEST_P(DifferentCiphers, carry_nothing_and_say_so_at_both_ends) {
  talk(60s);
  EXPECT_EQ(world_.frames_delivered(), 0U);
  for (const HostId host : {0u, 1u}) {
    const Host& at = world_[host];
    EXPECT_GT(at.engine->drops()[DropReason::CipherMismatch], 0U) << host;
    EXPECT_EQ(at.engine->drops()[DropReason::DataAuthentication], 0U) << "nobody tries to open it";
    const std::uint64_t told = world_[host].events[EventKind::CipherMismatch];
    EXPECT_GT(told, 0U) << host;
    EXPECT_LE(told, at.engine->drops()[DropReason::CipherMismatch]);
    EXPECT_EQ(at.frames_received, 0U);
  }
}

TEST_P(DifferentCiphers, work_once_they_are_made_equal) {
  talk(10s);
  ASSERT_EQ(world_.frames_delivered(), 0U);
  world_[1].engine->set_cipher(GetParam().first);
  talk(30s);
  const auto number = world_.send(0, 1);
  world_.run_for(1s);
  EXPECT_TRUE(world_.was_delivered(number));
}

class AgreedCiphers : public Ciphers {};

TEST_P(AgreedCiphers, carry_everything_and_aes_where_both_have_it) {
  const bool is_aes = is_usable(CipherSuite::Aes256Gcm) && GetParam().first == GetParam().second;
  world_.network.faults.reordering = 0.3;
  world_.network.faults.reordering_delay = 50ms;
  world_.network.faults.duplication = 0.1;
  talk(300s);
  for (const std::uint64_t number : numbers_) EXPECT_TRUE(world_.was_delivered(number)) << number;
  for (const HostId host : {0u, 1u}) {
    EXPECT_EQ(world_[host].engine->drops()[DropReason::CipherMismatch], 0U);
    EXPECT_EQ(world_[host].sent_by_type[std::size_t(MessageType::DataAes256Gcm)] > 500, is_aes);
    EXPECT_GT(world_[host].sent_by_type[std::size_t(MessageType::Data)], 0U) << "each session begins with it";
  }
}

constexpr CipherChoice chacha = CipherSuite::ChaCha20Poly1305;
constexpr CipherChoice aes = CipherSuite::Aes256Gcm;
constexpr CipherChoice none = CipherSuite::None;
constexpr CipherChoice automatic = CipherChoice::automatic();
INSTANTIATE_TEST_SUITE_P(Pairs, AgreedCiphers,
                         testing::Values(std::pair(automatic, automatic), std::pair(automatic, chacha),
                                         std::pair(chacha, automatic)));
INSTANTIATE_TEST_SUITE_P(Pairs, EqualCiphers,
                         testing::Values(std::pair(chacha, chacha), std::pair(aes, aes), std::pair(none, none)));
INSTANTIATE_TEST_SUITE_P(Pairs, DifferentCiphers,
                         testing::Values(std::pair(chacha, aes), std::pair(aes, chacha), std::pair(chacha, none),
                                         std::pair(none, chacha), std::pair(aes, none), std::pair(none, aes),
                                         std::pair(automatic, none), std::pair(none, automatic)));

}  // namespace
}  // namespace culvert::sim
