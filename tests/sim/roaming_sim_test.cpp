// Peers that move, and attackers that pretend to.
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/world.hpp"

namespace culvert::sim {
namespace {

using namespace std::chrono_literals;

class Roaming : public testing::Test {
 protected:
  Roaming() {
    world_.add_host();
    world_.add_host();
  }
  void begin() {
    world_.introduce(0, 1);
    world_.send(0, 1);
    world_.run_for(15s);
  }
  bool arrives(HostId from, HostId to) {
    const auto number = world_.send(from, to);
    world_.run_for(100ms);
    return world_.was_delivered(number);
  }
  Endpoint place_of(HostId whom, HostId at) { return world_[at].peer(world_[whom]).path->remote; }

  /// Frames both ways every 20 ms; true if none was lost.
  bool nothing_is_lost_for(Duration span) {
    std::vector<std::uint64_t> numbers;
    for (const Timestamp end = world_.clock.time() + span; world_.clock.time() < end;) {
      numbers.push_back(world_.send(0, 1));
      numbers.push_back(world_.send(1, 0));
      world_.run_for(20ms);
    }
    world_.run_for(1s);
    return std::ranges::all_of(numbers, [this](std::uint64_t number) { return world_.was_delivered(number); });
  }
  void probe(const Endpoint& candidate) {
    const PeerId id = world_[0].peer(world_[1]).id;
    world_[0].engine->probe_endpoint(id, candidate, world_.now(0));
  }

  World world_{seed_or(1)};
};

TEST_F(Roaming, a_peer_is_followed_to_its_new_address) {
  begin();
  for (int i = 0; i < 10; ++i) {
    world_.move(0);
    EXPECT_FALSE(arrives(1, 0));
    EXPECT_TRUE(arrives(0, 1));
    EXPECT_EQ(place_of(0, 1), world_[0].v4);
    EXPECT_TRUE(arrives(1, 0));
  }
  EXPECT_EQ(world_[0].initiations.size() + world_[1].initiations.size(), 1U);
}

TEST_F(Roaming, from_ipv4_to_ipv6_and_back) {
  begin();
  const PeerId id = world_[0].peer(world_[1]).id;
  world_[0].engine->set_endpoint(id, world_[1].v6);
  EXPECT_TRUE(arrives(0, 1));
  EXPECT_EQ(place_of(0, 1), world_[0].v6);
  EXPECT_TRUE(arrives(1, 0));
  EXPECT_EQ(place_of(1, 0), world_[1].v6);
  world_[0].engine->set_endpoint(id, world_[1].v4);
  EXPECT_TRUE(arrives(0, 1));
  EXPECT_EQ(place_of(0, 1), world_[0].v4);
  EXPECT_TRUE(arrives(1, 0));
  EXPECT_EQ(world_[0].initiations.size(), 1U);
}

TEST_F(Roaming, a_nat_that_rebinds_costs_no_handshake) {
  Nat& nat = world_.put_behind_nat(0, 300s);
  begin();
  const Endpoint first = place_of(0, 1);
  nat.rebind();
  EXPECT_FALSE(arrives(1, 0));
  EXPECT_TRUE(arrives(0, 1));
  EXPECT_NE(place_of(0, 1), first);
  EXPECT_TRUE(arrives(1, 0));
  EXPECT_EQ(world_[0].initiations.size() + world_[1].initiations.size(), 1U);
}

TEST_F(Roaming, both_directions_recover_after_a_move_nobody_told_of) {
  begin();
  world_.move(1);
  // 0 speaks to the old address until 1 says something, if only a keepalive or a handshake.
  EXPECT_FALSE(arrives(0, 1));
  EXPECT_TRUE(arrives(1, 0));
  EXPECT_TRUE(arrives(0, 1));
}

TEST_F(Roaming, a_candidate_that_answers_is_gone_over_to_without_a_loss) {
  begin();
  probe(world_[1].v6);
  EXPECT_TRUE(nothing_is_lost_for(20s));
  EXPECT_EQ(place_of(1, 0), world_[1].v6);
  EXPECT_EQ(place_of(0, 1), world_[0].v6);
  EXPECT_EQ(world_[0].initiations.size(), 2U);
}

TEST_F(Roaming, a_candidate_that_does_not_answer_costs_one_initiation_and_no_loss) {
  begin();
  const Endpoint nobody = *Endpoint::parse("203.0.113.5:51820");
  for (int i = 0; i < 10; ++i) {
    probe(nobody);
    EXPECT_TRUE(nothing_is_lost_for(20s));
    EXPECT_EQ(place_of(1, 0), world_[1].v4);
  }
  EXPECT_EQ(world_.strangers[nobody].to_stranger, 10 * sizeof(MessageInitiation));
}

TEST_F(Roaming, a_silent_peer_that_moved_is_found_by_one_handshake) {
  begin();
  for (int i = 0; i < 5; ++i) {
    world_.move(1);
    EXPECT_FALSE(arrives(0, 1));
    probe(world_[1].v4);
    world_.run_for(100ms);
    EXPECT_TRUE(arrives(0, 1));
    EXPECT_EQ(place_of(1, 0), world_[1].v4);
    world_.run_for(10s);
  }
}

TEST_F(Roaming, replays_and_forgeries_from_a_thousand_addresses_move_nothing) {
  std::vector<SentDatagram> seen;
  world_.on_wire = [&](const Host& from, const Endpoint&, const SentDatagram& datagram) {
    if (from.id == 0) seen.push_back(datagram);
  };
  begin();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(arrives(0, 1));
  const Endpoint place = place_of(0, 1);
  for (std::uint16_t i = 0; i < 1000; ++i) {
    Bytes datagram = seen[world_.dice.below(seen.size())].bytes;
    if (i % 2 == 0) datagram[world_.dice.below(datagram.size())] ^= std::byte{0x10};
    const Endpoint attacker{*Address::parse("203.0.113." + std::to_string(i % 250)), static_cast<std::uint16_t>(i + 1),
                            0};
    world_.inject(attacker, 1, std::move(datagram));
    world_.run_for(10ms);
    ASSERT_EQ(place_of(0, 1), place);
  }
  for (const auto& [endpoint, ledger] : world_.strangers) EXPECT_EQ(ledger.to_stranger, 0U);
  EXPECT_TRUE(arrives(1, 0));
}

}  // namespace
}  // namespace culvert::sim
