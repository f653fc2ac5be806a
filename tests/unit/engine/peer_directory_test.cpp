// Finding peers, and the session indices that name them.
#include "culvert/engine/peer_directory.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "culvert/crypto/initialize.hpp"
#include "culvert/crypto/key_exchange.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

class PeerDirectoryTest : public testing::Test {
 protected:
  PublicKey new_key() { return public_key_of(generate_secret_key(random_)); }

  SeededRandom random_{(initialize_crypto(), std::uint64_t{42})};
  Identity identity_{generate_secret_key(random_)};
  PeerDirectory peers_;
};

TEST_F(PeerDirectoryTest, makes_a_peer_once_per_key) {
  const PublicKey key = new_key();
  Peer& peer = peers_.ensure(identity_, key);
  EXPECT_EQ(&peers_.ensure(identity_, key), &peer);
  EXPECT_EQ(peers_.size(), 1U);
  EXPECT_EQ(peers_.find(key), &peer);
  EXPECT_EQ(peers_.find(peer.id), &peer);
  EXPECT_EQ(peer.public_key(), key);
}

TEST_F(PeerDirectoryTest, finds_nothing_that_is_not_there) {
  EXPECT_EQ(peers_.find(new_key()), nullptr);
  EXPECT_EQ(peers_.find(PeerId(0)), nullptr);
  EXPECT_EQ(peers_.find(SessionIndex(0)), nullptr);
  EXPECT_EQ(std::as_const(peers_).find(PeerId(1)), nullptr);
}

TEST_F(PeerDirectoryTest, peers_keep_their_address_while_others_come) {
  Peer& first = peers_.ensure(identity_, new_key());
  for (int i = 0; i < 100; ++i) peers_.ensure(identity_, new_key());
  EXPECT_EQ(peers_.find(first.id), &first);
}

TEST_F(PeerDirectoryTest, a_removed_peer_is_gone_and_its_slot_is_used_again) {
  const PublicKey key = new_key();
  const PeerId id = peers_.ensure(identity_, key).id;
  peers_.remove(id);
  EXPECT_EQ(peers_.find(key), nullptr);
  EXPECT_EQ(peers_.find(id), nullptr);
  EXPECT_EQ(peers_.size(), 0U);
  EXPECT_EQ(peers_.ensure(identity_, new_key()).id, id);
}

TEST_F(PeerDirectoryTest, an_index_names_its_peer_until_released) {
  Peer& one = peers_.ensure(identity_, new_key());
  Peer& other = peers_.ensure(identity_, new_key());
  const SessionIndex of_one = peers_.claim_index(one.id, random_);
  const SessionIndex of_other = peers_.claim_index(other.id, random_);
  EXPECT_EQ(peers_.find(of_one), &one);
  EXPECT_EQ(peers_.find(of_other), &other);
  EXPECT_EQ(peers_.index_count(), 2U);
  peers_.release_index(of_one);
  EXPECT_EQ(peers_.find(of_one), nullptr);
  EXPECT_EQ(peers_.find(of_other), &other);
  EXPECT_EQ(peers_.index_count(), 1U);
}

TEST_F(PeerDirectoryTest, an_index_in_use_is_not_given_out_again) {
  // Says the same number three times, then another.
  class Stuttering final : public Random {
   public:
    void fill(ByteSpan out) noexcept override {
      std::fill(out.begin(), out.end(), calls_++ < 3 ? std::byte{1} : std::byte{2});
    }

   private:
    int calls_ = 0;
  } stuttering;
  const PeerId id = peers_.ensure(identity_, new_key()).id;
  EXPECT_EQ(peers_.claim_index(id, stuttering), SessionIndex(0x01010101));
  EXPECT_EQ(peers_.claim_index(id, stuttering), SessionIndex(0x02020202));
}

TEST_F(PeerDirectoryTest, indices_are_spread_evenly_in_every_byte_and_do_not_repeat) {
  const PeerId id = peers_.ensure(identity_, new_key()).id;
  constexpr int count = 10'000;
  std::array<std::array<int, 256>, 4> histogram{};
  std::set<SessionIndex> seen;
  std::uint32_t previous = 0;
  int neighbours = 0;
  for (int i = 0; i < count; ++i) {
    const SessionIndex index = peers_.claim_index(id, random_);
    EXPECT_TRUE(seen.insert(index).second);
    for (unsigned byte = 0; byte < 4; ++byte) ++histogram[byte][(index.value() >> (8 * byte)) & 0xff];
    neighbours += index.value() - previous < 16 ? 1 : 0;
    previous = index.value();
  }
  for (const auto& bins : histogram) {
    double chi_square = 0;
    for (const int hits : bins) {
      const double off = hits - count / 256.0;
      chi_square += off * off / (count / 256.0);
    }
    // 255 degrees of freedom: outside these bounds once in about 10^6 on either side.
    EXPECT_LT(chi_square, 370);
    EXPECT_GT(chi_square, 160);
  }
  EXPECT_LE(neighbours, 1);
}

TEST_F(PeerDirectoryTest, visits_each_peer_in_order_of_slots) {
  std::vector<PeerId> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(peers_.ensure(identity_, new_key()).id);
  peers_.remove(ids[2]);
  ids.erase(ids.begin() + 2);
  std::vector<PeerId> visited;
  peers_.for_each([&](Peer& peer) { visited.push_back(peer.id); });
  EXPECT_EQ(visited, ids);
  visited.clear();
  std::as_const(peers_).for_each([&](const Peer& peer) { visited.push_back(peer.id); });
  EXPECT_EQ(visited, ids);
}

}  // namespace
}  // namespace culvert
