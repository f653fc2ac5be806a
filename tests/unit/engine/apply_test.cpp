// Whole changes to a running device.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "culvert/engine/device_change.hpp"
#include "support/engine_snapshot.hpp"
#include "support/peer_pair.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

PresharedKey some_psk(std::byte fill) {
  PresharedKey psk;
  std::fill(psk.writable_bytes().begin(), psk.writable_bytes().end(), fill);
  return psk;
}

class Apply : public testing::Test {
 protected:
  PublicKey key(std::uint64_t seed) {
    SeededRandom random(seed);
    return public_key_of(generate_secret_key(random));
  }

  static PeerChange peer(const PublicKey& public_key, std::initializer_list<const char*> prefixes = {}) {
    PeerChange change;
    change.public_key = public_key;
    for (const char* prefix : prefixes) change.allowed_ips.push_back({*Prefix::parse(prefix), false});
    return change;
  }
  static PeerChange removal(const PublicKey& public_key) {
    PeerChange change = peer(public_key);
    change.is_removal = true;
    return change;
  }

  template <class... Peers>
  void apply(bool replace_peers, Peers&&... peers) {
    DeviceChange change;
    change.replace_peers = replace_peers;
    (change.peers.push_back(std::forward<Peers>(peers)), ...);
    engine_.apply(std::move(change), pair_.now);
  }

  std::vector<std::string> prefixes_of(const PublicKey& public_key) {
    std::vector<std::string> prefixes;
    const PeerId id = engine_.find_peer(public_key)->id;
    engine_.prefixes().for_each([&](const Prefix& prefix, PeerId owner) {
      if (owner == id) prefixes.push_back(prefix.to_string());
    });
    return prefixes;
  }

  PeerPair pair_;
  Engine& engine_ = pair_.a.engine;
  const PublicKey b_ = pair_.b.public_key;
  const PublicKey c_ = key(100);
  const PublicKey d_ = key(101);
};

TEST_F(Apply, nothing_changes_nothing) {
  pair_.handshake();
  const EngineSnapshot before(engine_);
  engine_.apply({}, pair_.now);
  EXPECT_EQ(EngineSnapshot(engine_), before);
}

TEST_F(Apply, naming_a_peer_keeps_all_that_is_not_said) {
  pair_.handshake();
  pair_.a.engine.set_preshared_key(pair_.b_at_a, some_psk(std::byte{1}));
  const EngineSnapshot before(engine_);
  apply(false, peer(b_));
  EXPECT_EQ(EngineSnapshot(engine_), before);
}

TEST_F(Apply, a_new_peer_gets_all_that_is_said) {
  PeerChange change = peer(c_, {"10.3.0.0/16", "fd03::/64"});
  change.endpoint = *Endpoint::parse("192.0.2.3:3");
  change.preshared_key = some_psk(std::byte{3});
  change.persistent_keepalive = 25s;
  apply(false, std::move(change));
  const Peer* made = engine_.find_peer(c_);
  ASSERT_NE(made, nullptr);
  EXPECT_EQ(made->path, (Path{*Endpoint::parse("192.0.2.3:3"), {}, 0}));
  EXPECT_EQ(made->handshake.preshared_key(), some_psk(std::byte{3}));
  EXPECT_EQ(made->answer.preshared_key(), some_psk(std::byte{3}));
  EXPECT_EQ(made->timers.persistent_keepalive(), 25s);
  EXPECT_THAT(prefixes_of(c_), ElementsAre("10.3.0.0/16", "fd03::/64"));
  EXPECT_EQ(engine_.peers().size(), 2U);
  EXPECT_LE(*engine_.next_deadline(), pair_.now.time);
}

TEST_F(Apply, a_candidate_is_probed_and_the_path_stays) {
  pair_.handshake();
  const auto path = engine_.find_peer(b_)->path;
  PeerChange change = peer(b_);
  change.candidate = *Endpoint::parse("192.0.2.3:3");
  apply(false, std::move(change));
  EXPECT_EQ(engine_.find_peer(b_)->path, path);
  EXPECT_EQ(engine_.find_peer(b_)->candidate, *Endpoint::parse("192.0.2.3:3"));
}

TEST_F(Apply, a_removed_peer_leaves_nothing_behind) {
  pair_.handshake();
  apply(false, removal(b_));
  EXPECT_EQ(engine_.find_peer(b_), nullptr);
  EXPECT_EQ(engine_.peers().index_count(), 0U);
  EXPECT_EQ(engine_.prefixes().size(), 0U);
  EXPECT_FALSE(engine_.next_deadline());
}

TEST_F(Apply, updating_or_removing_nobody_makes_nobody) {
  PeerChange update = peer(c_, {"10.3.0.0/16"});
  update.update_only = true;
  const EngineSnapshot before(engine_);
  apply(false, std::move(update), removal(d_));
  EXPECT_EQ(EngineSnapshot(engine_), before);
}

TEST_F(Apply, an_update_of_a_known_peer_is_made) {
  PeerChange update = peer(b_, {"10.3.0.0/16"});
  update.update_only = true;
  apply(false, std::move(update));
  EXPECT_THAT(prefixes_of(b_), ElementsAre("10.0.0.2/32", "10.3.0.0/16"));
}

TEST_F(Apply, we_are_no_peer_of_ours) {
  const EngineSnapshot before(engine_);
  apply(false, peer(pair_.a.public_key, {"10.3.0.0/16"}));
  EXPECT_EQ(EngineSnapshot(engine_), before);
}

TEST_F(Apply, the_private_key_comes_first) {
  SeededRandom random(100);
  DeviceChange change;
  change.private_key = generate_secret_key(random);
  // c would be ourselves by then.
  change.peers.push_back(peer(c_, {"10.3.0.0/16"}));
  engine_.apply(std::move(change), pair_.now);
  EXPECT_EQ(engine_.identity()->public_key, c_);
  EXPECT_EQ(engine_.find_peer(c_), nullptr);
  EXPECT_EQ(engine_.prefixes().size(), 1U);
}

TEST_F(Apply, prefixes_are_replaced_only_when_asked) {
  apply(false, peer(b_, {"10.3.0.0/16"}));
  EXPECT_THAT(prefixes_of(b_), ElementsAre("10.0.0.2/32", "10.3.0.0/16"));
  PeerChange change = peer(b_, {"10.4.0.0/16"});
  change.replace_allowed_ips = true;
  apply(false, std::move(change));
  EXPECT_THAT(prefixes_of(b_), ElementsAre("10.4.0.0/16"));
}

TEST_F(Apply, one_prefix_is_taken_from_its_owner_only) {
  apply(false, peer(c_, {"10.3.0.0/16"}));
  PeerChange wrong = peer(b_);
  wrong.allowed_ips.push_back({*Prefix::parse("10.3.0.0/16"), true});
  apply(false, std::move(wrong));
  EXPECT_THAT(prefixes_of(c_), ElementsAre("10.3.0.0/16"));
  PeerChange right = peer(c_);
  right.allowed_ips.push_back({*Prefix::parse("10.3.0.0/16"), true});
  apply(false, std::move(right));
  EXPECT_THAT(prefixes_of(c_), ElementsAre());
}

TEST_F(Apply, a_prefix_moves_to_whoever_is_named_last) {
  apply(false, peer(c_, {"10.3.0.0/16"}), peer(d_, {"10.3.0.0/16"}));
  EXPECT_THAT(prefixes_of(c_), ElementsAre());
  EXPECT_THAT(prefixes_of(d_), ElementsAre("10.3.0.0/16"));
}

TEST_F(Apply, replacing_peers_removes_who_is_not_named) {
  apply(false, peer(c_, {"10.3.0.0/16"}), peer(d_, {"10.4.0.0/16"}));
  apply(true, peer(c_, {"10.5.0.0/16"}));
  EXPECT_EQ(engine_.find_peer(b_), nullptr);
  EXPECT_EQ(engine_.find_peer(d_), nullptr);
  EXPECT_THAT(prefixes_of(c_), ElementsAre("10.5.0.0/16"));
  EXPECT_EQ(engine_.prefixes().size(), 1U);
}

TEST_F(Apply, replacing_peers_keeps_the_session_and_place_of_who_is_named_and_nothing_else) {
  pair_.handshake();
  engine_.set_preshared_key(pair_.b_at_a, some_psk(std::byte{1}));
  engine_.set_persistent_keepalive(pair_.b_at_a, 25s, pair_.now);
  const SessionIndex session = pair_.peer_at_a().sessions.current()->local_index();
  apply(true, peer(b_));
  const Peer& kept = pair_.peer_at_a();
  ASSERT_NE(kept.sessions.current(), nullptr);
  EXPECT_EQ(kept.sessions.current()->local_index(), session);
  EXPECT_EQ(kept.path->remote, pair_.b.endpoint);
  EXPECT_TRUE(kept.handshake.preshared_key().is_zero());
  EXPECT_TRUE(kept.answer.preshared_key().is_zero());
  EXPECT_EQ(kept.timers.persistent_keepalive(), 0s);
  EXPECT_EQ(engine_.prefixes().size(), 0U);
}

TEST_F(Apply, replacing_with_the_same_loses_no_packet) {
  pair_.handshake();
  for (int i = 0; i < 1000; ++i) {
    apply(true, peer(b_, {"10.0.0.2/32"}));
    pair_.send(pair_.a, pair_.b);
    pair_.send(pair_.b, pair_.a);
    pair_.exchange();
  }
  EXPECT_EQ(pair_.b.frames.take().size(), 1000U);
  EXPECT_EQ(pair_.a.frames.take().size(), 1000U);
}

TEST_F(Apply, replacing_with_nobody_removes_everybody) {
  pair_.handshake();
  apply(true);
  EXPECT_EQ(engine_.peers().size(), 0U);
  EXPECT_EQ(engine_.peers().index_count(), 0U);
  EXPECT_EQ(engine_.prefixes().size(), 0U);
}

TEST_F(Apply, a_peer_named_twice_gets_both_in_order) {
  PeerChange first = peer(c_, {"10.3.0.0/16"});
  first.preshared_key = some_psk(std::byte{1});
  PeerChange second = peer(c_, {"10.4.0.0/16"});
  second.persistent_keepalive = 5s;
  apply(true, std::move(first), std::move(second));
  EXPECT_EQ(engine_.find_peer(c_)->handshake.preshared_key(), some_psk(std::byte{1}));
  EXPECT_EQ(engine_.find_peer(c_)->timers.persistent_keepalive(), 5s);
  EXPECT_THAT(prefixes_of(c_), ElementsAre("10.3.0.0/16", "10.4.0.0/16"));

  PeerChange again = peer(c_, {"10.6.0.0/16"});
  again.replace_allowed_ips = true;
  apply(false, peer(c_, {"10.5.0.0/16"}), std::move(again));
  EXPECT_THAT(prefixes_of(c_), ElementsAre("10.6.0.0/16"));
}

TEST_F(Apply, a_peer_made_and_removed_in_one_change_is_gone_with_its_prefixes) {
  apply(false, peer(c_, {"10.3.0.0/16"}), removal(c_));
  EXPECT_EQ(engine_.find_peer(c_), nullptr);
  EXPECT_EQ(engine_.prefixes().size(), 1U);
}

TEST_F(Apply, a_peer_removed_and_made_in_one_change_starts_from_nothing) {
  pair_.handshake();
  engine_.set_preshared_key(pair_.b_at_a, some_psk(std::byte{1}));
  apply(false, removal(b_), peer(b_, {"10.4.0.0/16"}));
  const Peer* made = engine_.find_peer(b_);
  ASSERT_NE(made, nullptr);
  EXPECT_EQ(made->sessions.current(), nullptr);
  EXPECT_FALSE(made->path);
  EXPECT_TRUE(made->handshake.preshared_key().is_zero());
  EXPECT_THAT(prefixes_of(b_), ElementsAre("10.4.0.0/16"));
}

TEST_F(Apply, a_newcomer_in_the_slot_of_one_who_leaves_inherits_nothing) {
  pair_.handshake();
  const PeerId slot = pair_.b_at_a;
  apply(false, removal(b_), peer(c_, {"10.3.0.0/16"}));
  EXPECT_EQ(engine_.find_peer(c_)->id, slot);
  EXPECT_THAT(prefixes_of(c_), ElementsAre("10.3.0.0/16"));
  apply(true, peer(d_, {"10.4.0.0/16"}));
  EXPECT_THAT(prefixes_of(d_), ElementsAre("10.4.0.0/16"));
  EXPECT_EQ(engine_.prefixes().size(), 1U);
}

}  // namespace
}  // namespace culvert
