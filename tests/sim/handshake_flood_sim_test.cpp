// Floods of handshake messages: cookies, limits, and who is left in peace.
#include <gtest/gtest.h>

#include "culvert/protocol/cookie.hpp"
#include "sim/world.hpp"

namespace culvert::sim {
namespace {

using namespace std::chrono_literals;

class HandshakeFlood : public testing::Test {
 protected:
  static constexpr HostId server = 0;
  static constexpr HostId client = 1;

  HandshakeFlood() {
    world_.add_host();
    world_.add_host();
    world_.introduce(client, server);
    macs_.emplace(world_[server].public_key);
    world_.on_wire = [this](const Host& from, const Endpoint&, const SentDatagram& datagram) {
      if (from.id == server && datagram.path.remote == attacker_) to_attacker_.push_back(datagram.bytes);
    };
  }

  ~HandshakeFlood() override {
    // Whatever the flood: nobody unauthenticated gets more than he sends.
    for (const auto& [endpoint, ledger] : world_.strangers) {
      EXPECT_LE(static_cast<double>(ledger.to_stranger), 0.70 * static_cast<double>(ledger.from_stranger));
    }
  }

  /// As good an initiation as one without a configured key can make.
  Bytes junk() {
    MessageInitiation message;
    message.sender = ++junk_number_;
    SeededRandom random(junk_number_);
    random.fill(message.ephemeral);
    const ByteSpan bytes = std::as_writable_bytes(std::span(&message, 1));
    macs_->add_macs(bytes, world_.clock.time());
    return {bytes.begin(), bytes.end()};
  }

  Endpoint many(std::uint32_t number) {
    return {*Address::parse("198.51." + std::to_string(number / 250 % 250) + "." + std::to_string(number % 250)), 4000,
            0};
  }

  /// `per_second` messages each second for `duration`, from one address or from many.
  void flood(unsigned per_second, Duration duration, bool from_many) {
    const Duration gap = Duration(1s) / per_second;
    for (Duration passed{0}; passed < duration; passed += gap) {
      world_.inject(from_many ? many(junk_number_) : attacker_, server, junk());
      world_.run_for(gap);
    }
  }

  bool is_connected() { return world_[client].peer(world_[server]).sessions.current() != nullptr; }

  World world_{seed_or(1)};
  const Endpoint attacker_ = *Endpoint::parse("203.0.113.66:666");
  std::optional<CookieHolder> macs_;
  std::uint32_t junk_number_ = 0;
  std::vector<Bytes> to_attacker_;
};

TEST_F(HandshakeFlood, few_messages_are_no_load) {
  flood(100, 3s, false);
  EXPECT_TRUE(to_attacker_.empty());
  EXPECT_EQ(world_[server].engine->drops()[DropReason::HandshakeAuthentication], 300U);
}

TEST_F(HandshakeFlood, from_one_address_leaves_others_in_peace) {
  flood(4000, 2s, false);
  EXPECT_GT(to_attacker_.size(), 1000U);
  world_.send(client, server);
  flood(4000, 500ms, false);
  EXPECT_TRUE(is_connected());
  EXPECT_EQ(world_[client].initiations.size(), 1U);
}

TEST_F(HandshakeFlood, from_everywhere_is_passed_with_a_cookie) {
  flood(6000, 1s, true);
  world_.send(client, server);
  flood(3000, 200ms, true);
  EXPECT_FALSE(is_connected());
  // The next attempt brings the cookie.
  flood(3000, 5200ms, true);
  EXPECT_TRUE(is_connected());
  EXPECT_EQ(world_[client].initiations.size(), 2U);
}

TEST_F(HandshakeFlood, is_forgotten_a_second_after_it_ends) {
  flood(6000, 1s, true);
  const std::uint64_t cookies = world_[server].sent_by_type[3];
  EXPECT_GT(cookies, 0U);
  world_.run_for(1s + 1ms);
  world_.send(client, server);
  world_.run_for(100ms);
  EXPECT_TRUE(is_connected());
  EXPECT_EQ(world_[server].sent_by_type[3], cookies);
}

TEST_F(HandshakeFlood, with_cookies_is_held_to_twenty_per_second) {
  flood(4000, 300ms, false);
  ASSERT_FALSE(to_attacker_.empty());
  // The attacker sees the answers: it does have this address.
  MessageCookieReply reply;
  std::memcpy(&reply, to_attacker_.back().data(), sizeof reply);
  world_.inject(attacker_, server, junk());
  world_.run_for(1ms);
  std::memcpy(&reply, to_attacker_.back().data(), sizeof reply);
  ASSERT_TRUE(macs_->consume_reply(reply, world_.clock.time()));

  const auto count = [&] { return world_[server].engine->drops()[DropReason::HandshakeAuthentication]; };
  const std::uint64_t before = count();
  flood(2000, 2s, false);
  EXPECT_LE(count() - before, 2 * 20U + 5);
  EXPECT_GE(count() - before, 2 * 20U);
  EXPECT_GT(world_[server].engine->drops()[DropReason::RateLimited], 1000U);
}

TEST_F(HandshakeFlood, a_session_goes_on_through_it) {
  world_.send(client, server);
  world_.run_for(1s);
  const std::uint64_t before = world_.frames_delivered();
  for (int i = 0; i < 10; ++i) {
    flood(6000, 50ms, true);
    world_.send(client, server);
    world_.send(server, client);
  }
  world_.run_for(1s);
  EXPECT_EQ(world_.frames_delivered() - before, 20U);
}

TEST_F(HandshakeFlood, keys_are_renewed_through_it) {
  world_.send(client, server);
  world_.run_for(118s);
  for (int i = 0; i < 10; ++i) {
    flood(3000, 1s, true);
    world_.send(client, server);
  }
  world_.run_for(1s);
  EXPECT_EQ(world_.frames_delivered(), world_.frames_sent());
  EXPECT_GE(world_[client].peer(world_[server]).sessions.current()->birth(), VirtualClock::start + 118s);
}

TEST_F(HandshakeFlood, twenty_thousand_mutations_get_nothing) {
  world_.send(client, server);
  std::vector<Bytes> real;
  world_.on_wire = [&](const Host&, const Endpoint&, const SentDatagram& datagram) { real.push_back(datagram.bytes); };
  for (int i = 0; i < 3; ++i) {
    world_.run_for(1s);
    world_.send(client, server);
  }
  world_.run_for(15s);
  const std::size_t indices = world_[server].engine->peers().index_count();
  for (int i = 0; i < 20'000; ++i) {
    Bytes mutated = real[world_.dice.below(real.size())];
    if (world_.dice.chance(0.3)) mutated.resize(world_.dice.below(300));
    const std::uint64_t flips = world_.dice.between(1, 5);
    for (std::uint64_t flip = 0; flip < flips && !mutated.empty(); ++flip) {
      mutated[world_.dice.below(mutated.size())] = static_cast<std::byte>(world_.dice.below(256));
    }
    world_.inject(many(static_cast<std::uint32_t>(i)), server, std::move(mutated));
    if (i % 1000 == 0) world_.run_for(1ms);
  }
  EXPECT_EQ(world_[server].engine->peers().index_count(), indices);
  EXPECT_EQ(world_[server].engine->peers().size(), 1U);
  for (const auto& [endpoint, ledger] : world_.strangers) EXPECT_EQ(ledger.to_stranger, 0U);
}

}  // namespace
}  // namespace culvert::sim
