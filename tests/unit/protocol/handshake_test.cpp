// The handshake succeeds with the right keys in the right order, and only then.
#include "culvert/protocol/handshake.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "culvert/protocol/limits.hpp"
#include "forged_handshake.hpp"
#include "low_order_points.hpp"
#include "support/crypto_ready.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

constexpr SessionIndex initiator_index(0x11111111);
constexpr SessionIndex responder_index(0x22222222);

PresharedKey preshared_key(std::uint64_t seed) {
  PresharedKey key;
  SeededRandom(seed).fill(key.writable_bytes());
  return key;
}

Tai64n timestamp(int ticks) {
  return Tai64n::from(WallTime(1700000000s + ticks * std::chrono::nanoseconds(1 << 24)));
}

DropReason consume(Handshake& handshake, const Identity& identity, const MessageInitiation& message, Timestamp now) {
  auto opened = open_initiation(identity, message);
  return opened ? handshake.consume_initiation(std::move(*opened), now).error() : opened.error();
}

/// What error() gives when there is none.
constexpr DropReason none{};
static_assert(none == DropReason::DatagramLength, "no handshake fails for this reason");

/// A frame goes from one session to the other.
bool carries(Session& from, Session& to, Timestamp now) {
  const std::vector<std::byte> frame(32, std::byte{5});
  std::vector<std::byte> datagram(Session::sealed_size(frame.size(), 1420));
  from.seal(frame, datagram);
  auto message = parse_message(datagram);
  const auto& data = std::get<MessageData>(*message);
  if (data.receiver != to.local_index()) return false;
  const auto opened = to.open(data, now);
  return opened && std::equal(opened->begin(), opened->end(), frame.begin(), frame.end());
}

class HandshakeTest : public testing::Test {
 protected:
  MessageInitiation initiation(int ticks = 0, SessionIndex local = initiator_index) {
    MessageInitiation message;
    EXPECT_TRUE(initiator_.create_initiation(message, local, timestamp(ticks), random_));
    return message;
  }
  MessageResponse response() {
    MessageResponse message;
    EXPECT_TRUE(responder_.create_response(message, responder_index, random_));
    return message;
  }
  DropReason respond_to(const MessageInitiation& message) { return consume(responder_, bob_, message, now_); }

  /// A message that alice could have made, but for `forgery`.
  MessageInitiation forged_initiation(const Forgery& forgery, int ticks = 0) {
    const SecretKey ephemeral = generate_secret_key(random_);
    return ForgedHandshake(bob_.public_key, forgery)
        .initiation(initiator_index, public_key_of(ephemeral), alice_.public_key, exchange(ephemeral, bob_.public_key),
                    exchange(alice_.secret, bob_.public_key), timestamp(ticks));
  }
  /// A response to `message` that bob could have made, but for `forgery`.
  MessageResponse forged_response(const MessageInitiation& message, const Forgery& forgery) {
    ForgedHandshake forged(bob_.public_key, {});
    forged.follow(message, bob_.secret, alice_.public_key);
    forged.set_forgery(forgery);
    const SecretKey ephemeral = generate_secret_key(random_);
    return forged.response(responder_index, SessionIndex(message.sender), public_key_of(ephemeral),
                           exchange(ephemeral, PublicKey(message.ephemeral)), exchange(ephemeral, alice_.public_key),
                           responder_.preshared_key());
  }

  SeededRandom random_{7};
  Timestamp now_{1h};
  Identity alice_{generate_secret_key(random_)};
  Identity bob_{generate_secret_key(random_)};
  Identity eve_{generate_secret_key(random_)};
  Handshake initiator_{alice_, bob_.public_key, preshared_key(1)};
  Handshake responder_{bob_, alice_.public_key, preshared_key(1)};
};

TEST_F(HandshakeTest, gives_both_sides_sessions_that_understand_each_other) {
  ASSERT_EQ(respond_to(initiation()), none);
  ASSERT_TRUE(initiator_.consume_response(response()).has_value());
  const auto ours = initiator_.derive_session(now_);
  const auto theirs = responder_.derive_session(now_ + 1s);
  ASSERT_TRUE(ours && theirs);

  EXPECT_TRUE(ours->is_initiator());
  EXPECT_FALSE(theirs->is_initiator());
  EXPECT_EQ(ours->local_index(), initiator_index);
  EXPECT_EQ(ours->remote_index(), responder_index);
  EXPECT_EQ(theirs->local_index(), responder_index);
  EXPECT_EQ(theirs->remote_index(), initiator_index);
  EXPECT_EQ(ours->birth(), now_);
  EXPECT_EQ(theirs->birth(), now_ + 1s);
  EXPECT_TRUE(carries(*ours, *theirs, now_ + 1s));
  EXPECT_TRUE(carries(*theirs, *ours, now_ + 1s));
}

TEST_F(HandshakeTest, gives_each_suite_keys_of_its_own) {
  int ticks = 0;
  const auto sessions = [&](CipherSuite ours, CipherSuite theirs) {
    EXPECT_EQ(respond_to(initiation(ticks++)), none);
    EXPECT_TRUE(initiator_.consume_response(response()).has_value());
    now_ += 1s;
    return std::pair(initiator_.derive_session(now_, ours), responder_.derive_session(now_, theirs));
  };
  for (const CipherSuite suite : all_cipher_suites) {
    if (!is_usable(suite)) continue;
    const auto [ours, theirs] = sessions(suite, suite);
    EXPECT_EQ(ours->suite(), suite);
    EXPECT_TRUE(carries(*ours, *theirs, now_));
    EXPECT_TRUE(carries(*theirs, *ours, now_));
  }
  const auto [ours, theirs] = sessions(CipherSuite::ChaCha20Poly1305, CipherSuite::None);
  EXPECT_FALSE(carries(*ours, *theirs, now_));
  EXPECT_EQ(transport_label(CipherSuite::ChaCha20Poly1305), "") << "WireGuard's";
  EXPECT_EQ(transport_label(CipherSuite::Aes256Gcm), "culvert aes-256-gcm");
  EXPECT_EQ(transport_label(CipherSuite::None), "culvert none");
}

TEST_F(HandshakeTest, gives_a_second_suite_the_keys_it_would_have_alone) {
  ASSERT_EQ(respond_to(initiation()), none);
  ASSERT_TRUE(initiator_.consume_response(response()).has_value());
  if (!is_usable(CipherSuite::Aes256Gcm)) GTEST_SKIP() << "not on this machine";
  const auto both = initiator_.derive_session(now_, CipherSuite::ChaCha20Poly1305, CipherSuite::Aes256Gcm);
  const auto alone = responder_.derive_session(now_, CipherSuite::Aes256Gcm);
  EXPECT_EQ(both->suites(), (SuiteSet{CipherSuite::ChaCha20Poly1305, CipherSuite::Aes256Gcm}));
  EXPECT_FALSE(carries(*both, *alone, now_)) << "begins with the first";
  both->offered();
  both->agree({CipherSuite::Aes256Gcm});
  EXPECT_TRUE(carries(*both, *alone, now_));
  EXPECT_TRUE(carries(*alone, *both, now_));
}

TEST_F(HandshakeTest, walks_through_its_states) {
  EXPECT_EQ(initiator_.state(), HandshakeState::Zeroed);
  const auto message = initiation();
  EXPECT_EQ(initiator_.state(), HandshakeState::CreatedInitiation);
  EXPECT_EQ(initiator_.local_index(), initiator_index);
  ASSERT_EQ(respond_to(message), none);
  EXPECT_EQ(responder_.state(), HandshakeState::ConsumedInitiation);
  const auto answer = response();
  EXPECT_EQ(responder_.state(), HandshakeState::CreatedResponse);
  EXPECT_EQ(responder_.local_index(), responder_index);
  ASSERT_TRUE(initiator_.consume_response(answer).has_value());
  EXPECT_EQ(initiator_.state(), HandshakeState::ConsumedResponse);
  EXPECT_TRUE(initiator_.derive_session(now_));
  EXPECT_TRUE(responder_.derive_session(now_));
  EXPECT_EQ(initiator_.state(), HandshakeState::Zeroed);
  EXPECT_EQ(responder_.state(), HandshakeState::Zeroed);
}

TEST_F(HandshakeTest, derives_each_session_once_and_at_the_end_only) {
  EXPECT_FALSE(initiator_.derive_session(now_));
  const auto message = initiation();
  EXPECT_FALSE(initiator_.derive_session(now_));
  ASSERT_EQ(respond_to(message), none);
  EXPECT_FALSE(responder_.derive_session(now_));
  const auto answer = response();
  EXPECT_TRUE(responder_.derive_session(now_));
  EXPECT_FALSE(responder_.derive_session(now_));
  ASSERT_TRUE(initiator_.consume_response(answer).has_value());
  EXPECT_TRUE(initiator_.derive_session(now_));
  EXPECT_FALSE(initiator_.derive_session(now_));
}

TEST_F(HandshakeTest, tells_who_opened_an_initiation) {
  const auto message = initiation();
  const auto opened = open_initiation(bob_, message);
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(opened->initiator, alice_.public_key);
  EXPECT_EQ(opened->ephemeral, PublicKey(message.ephemeral));
  EXPECT_EQ(opened->sender, initiator_index);
}

TEST_F(HandshakeTest, hides_the_initiator_and_makes_new_ephemerals_each_time) {
  const auto first = initiation();
  const auto second = initiation();
  EXPECT_NE(first.ephemeral, second.ephemeral);
  EXPECT_NE(first.sealed_static, second.sealed_static);
  const ByteView bytes = bytes_of(first);
  const KeyView key = alice_.public_key.bytes();
  EXPECT_EQ(std::search(bytes.begin(), bytes.end(), key.begin(), key.end()), bytes.end());
}

// The initiation, done wrong.

TEST_F(HandshakeTest, accepts_the_forgers_initiation_if_nothing_is_wrong_with_it) {
  EXPECT_EQ(respond_to(forged_initiation({})), none);
}

TEST_F(HandshakeTest, refuses_an_initiation_with_a_step_left_out_or_changed) {
  const std::vector<Forgery> forgeries = {
      {.construction = "Noise_IKpsk1_25519_ChaChaPoly_BLAKE2s"},
      {.construction = "Noise_IK_25519_ChaChaPoly_BLAKE2s"},
      {.identifier = "WireGuard v0 zx2c4 Jason@zx2c4.com"},
      {.identifier = ""},
      {.without_es = true},
      {.without_ss = true},
      {.timestamp_before_static = true},
  };
  for (std::size_t i = 0; i < forgeries.size(); ++i) {
    EXPECT_EQ(respond_to(forged_initiation(forgeries[i])), DropReason::HandshakeAuthentication) << "forgery " << i;
    EXPECT_EQ(responder_.state(), HandshakeState::Zeroed);
  }
}

TEST_F(HandshakeTest, refuses_an_initiation_with_any_bit_of_its_fields_changed) {
  const auto genuine = initiation();
  constexpr std::size_t first = offsetof(MessageInitiation, ephemeral);
  constexpr std::size_t last = offsetof(MessageInitiation, macs);
  for (std::size_t i = first; i < last; ++i) {
    auto tampered = genuine;
    std::as_writable_bytes(std::span(&tampered, 1))[i] ^= std::byte{0x80};
    EXPECT_EQ(respond_to(tampered), DropReason::HandshakeAuthentication) << "byte " << i;
    EXPECT_EQ(responder_.state(), HandshakeState::Zeroed);
  }
  EXPECT_EQ(respond_to(genuine), none) << "none of these may leave anything behind";
}

TEST_F(HandshakeTest, refuses_an_initiation_made_for_another) {
  const auto message = initiation();
  EXPECT_EQ(open_initiation(eve_, message).error(), DropReason::HandshakeAuthentication);
}

TEST_F(HandshakeTest, refuses_an_initiation_of_another_peer) {
  Handshake from_eve(eve_, bob_.public_key, preshared_key(1));
  MessageInitiation message;
  ASSERT_TRUE(from_eve.create_initiation(message, initiator_index, timestamp(0), random_));
  EXPECT_EQ(respond_to(message), DropReason::HandshakeAuthentication);
}

TEST_F(HandshakeTest, gives_no_session_to_one_who_has_our_key_but_not_the_peers) {
  // Key compromise impersonation: eve has bob's static key and claims to be alice. She knows es, and ss too: the
  // initiation passes, as the paper admits; but the session needs alice's key.
  const SecretKey ephemeral = generate_secret_key(random_);
  const auto message =
      ForgedHandshake(bob_.public_key, {})
          .initiation(initiator_index, public_key_of(ephemeral), alice_.public_key,
                      exchange(ephemeral, bob_.public_key), exchange(bob_.secret, alice_.public_key), timestamp(0));
  ASSERT_EQ(respond_to(message), none);
  const auto answer = response();
  const PublicKey their_ephemeral(answer.ephemeral);
  const auto guess = [&](const SecretKey& initiator) {
    ForgedHandshake eve(bob_.public_key, {});
    eve.follow(message, bob_.secret, alice_.public_key);
    return eve.response(responder_index, initiator_index, their_ephemeral, exchange(ephemeral, their_ephemeral),
                        exchange(initiator, their_ephemeral), preshared_key(1));
  };
  EXPECT_NE(guess(bob_.secret).sealed_nothing, answer.sealed_nothing);
  EXPECT_EQ(guess(alice_.secret).sealed_nothing, answer.sealed_nothing);
}

TEST_F(HandshakeTest, refuses_an_initiation_whose_static_keys_are_swapped) {
  const SecretKey ephemeral = generate_secret_key(random_);
  const auto message =
      ForgedHandshake(alice_.public_key, {})
          .initiation(initiator_index, public_key_of(ephemeral), bob_.public_key, exchange(ephemeral, bob_.public_key),
                      exchange(alice_.secret, bob_.public_key), timestamp(0));
  EXPECT_EQ(respond_to(message), DropReason::HandshakeAuthentication);
}

// Points on which anybody knows the shared secret.

TEST_F(HandshakeTest, never_begins_with_a_peer_of_low_order) {
  for (const PublicKey& point : low_order_points()) {
    Handshake handshake(alice_, point, PresharedKey());
    MessageInitiation message{};
    message.sender = 99u;
    const auto before = message;
    EXPECT_FALSE(handshake.create_initiation(message, initiator_index, timestamp(0), random_));
    EXPECT_TRUE(std::ranges::equal(bytes_of(message), bytes_of(before))) << "written in spite of failure";
    EXPECT_EQ(handshake.state(), HandshakeState::Zeroed);
  }
}

TEST_F(HandshakeTest, refuses_initiations_from_a_peer_of_low_order) {
  for (const PublicKey& point : low_order_points()) {
    Handshake handshake(bob_, point, PresharedKey());
    const SecretKey ephemeral = generate_secret_key(random_);
    const auto message = ForgedHandshake(bob_.public_key, {})
                             .initiation(initiator_index, public_key_of(ephemeral), point,
                                         exchange(ephemeral, bob_.public_key), SharedSecret(), timestamp(0));
    auto opened = open_initiation(bob_, message);
    ASSERT_TRUE(opened.has_value());
    ASSERT_EQ(opened->initiator, point);
    EXPECT_EQ(handshake.consume_initiation(std::move(*opened), now_).error(), DropReason::HandshakeAuthentication);
    EXPECT_EQ(handshake.state(), HandshakeState::Zeroed);
  }
}

TEST_F(HandshakeTest, refuses_initiations_with_an_ephemeral_of_low_order) {
  for (const PublicKey& point : low_order_points()) {
    const auto message = ForgedHandshake(bob_.public_key, {})
                             .initiation(initiator_index, point, alice_.public_key, SharedSecret(),
                                         exchange(alice_.secret, bob_.public_key), timestamp(0));
    EXPECT_EQ(open_initiation(bob_, message).error(), DropReason::HandshakeAuthentication);
  }
}

TEST_F(HandshakeTest, refuses_responses_with_an_ephemeral_of_low_order) {
  const auto message = initiation();
  for (const PublicKey& point : low_order_points()) {
    ForgedHandshake forged(bob_.public_key, {});
    forged.follow(message, bob_.secret, alice_.public_key);
    const auto answer =
        forged.response(responder_index, initiator_index, point, SharedSecret(), SharedSecret(), preshared_key(1));
    EXPECT_EQ(initiator_.consume_response(answer).error(), DropReason::HandshakeAuthentication);
    EXPECT_EQ(initiator_.state(), HandshakeState::CreatedInitiation);
  }
}

// Fresh initiations.

TEST_F(HandshakeTest, refuses_a_replayed_initiation) {
  const auto message = initiation(0);
  ASSERT_EQ(respond_to(message), none);
  now_ += 1h;
  EXPECT_EQ(respond_to(message), DropReason::TimestampReplay);
}

TEST_F(HandshakeTest, needs_a_greater_timestamp_each_time) {
  ASSERT_EQ(respond_to(initiation(10)), none);
  now_ += 1s;
  EXPECT_EQ(respond_to(initiation(9)), DropReason::TimestampReplay);
  EXPECT_EQ(respond_to(initiation(10)), DropReason::TimestampReplay);
  EXPECT_EQ(respond_to(initiation(11)), none);
}

TEST_F(HandshakeTest, needs_some_time_between_initiations) {
  ASSERT_EQ(respond_to(initiation(0)), none);
  now_ += limits::min_initiation_interval - 1ns;
  EXPECT_EQ(respond_to(initiation(1)), DropReason::InitiationFlood);
  now_ += 1ns;
  EXPECT_EQ(respond_to(initiation(2)), none);
}

TEST_F(HandshakeTest, counts_the_interval_from_the_last_accepted_initiation) {
  ASSERT_EQ(respond_to(initiation(0)), none);
  now_ += 15ms;
  EXPECT_EQ(respond_to(initiation(1)), DropReason::InitiationFlood);
  now_ += 5ms;
  EXPECT_EQ(respond_to(initiation(2)), none);
}

TEST_F(HandshakeTest, does_not_remember_the_timestamp_of_an_initiation_it_refused) {
  ASSERT_EQ(respond_to(initiation(0)), none);
  const auto early = initiation(1);
  EXPECT_EQ(respond_to(early), DropReason::InitiationFlood);
  now_ += 1s;
  EXPECT_EQ(respond_to(early), none);
}

TEST_F(HandshakeTest, goes_on_where_it_was_when_an_initiation_is_refused) {
  ASSERT_EQ(respond_to(initiation(5)), none);
  const auto other = initiation(4, SessionIndex(77));
  now_ += 1s;
  EXPECT_EQ(respond_to(other), DropReason::TimestampReplay);
  EXPECT_EQ(responder_.state(), HandshakeState::ConsumedInitiation);
  EXPECT_EQ(response().receiver, initiator_index.value());
}

TEST_F(HandshakeTest, remembers_the_timestamp_over_sessions_and_clearing_and_new_keys) {
  const auto message = initiation(10);
  ASSERT_EQ(respond_to(message), none);
  static_cast<void>(response());
  ASSERT_TRUE(responder_.derive_session(now_));
  now_ += 1s;
  EXPECT_EQ(respond_to(message), DropReason::TimestampReplay);
  responder_.clear();
  EXPECT_EQ(respond_to(message), DropReason::TimestampReplay);

  const Identity new_bob(generate_secret_key(random_));
  responder_.set_identity(new_bob);
  Handshake to_new_bob(alice_, new_bob.public_key, preshared_key(1));
  MessageInitiation old_time;
  ASSERT_TRUE(to_new_bob.create_initiation(old_time, initiator_index, timestamp(10), random_));
  EXPECT_EQ(consume(responder_, new_bob, old_time, now_), DropReason::TimestampReplay);
  MessageInitiation new_time;
  ASSERT_TRUE(to_new_bob.create_initiation(new_time, initiator_index, timestamp(11), random_));
  EXPECT_EQ(consume(responder_, new_bob, new_time, now_), none);
}

// The response, done wrong.

TEST_F(HandshakeTest, responds_once_and_to_an_initiation_only) {
  MessageResponse message;
  EXPECT_FALSE(responder_.create_response(message, responder_index, random_));
  const auto ours = initiation();
  EXPECT_FALSE(initiator_.create_response(message, responder_index, random_));
  ASSERT_EQ(respond_to(ours), none);
  static_cast<void>(response());
  EXPECT_FALSE(responder_.create_response(message, responder_index, random_));
  EXPECT_EQ(responder_.state(), HandshakeState::CreatedResponse);
}

TEST_F(HandshakeTest, accepts_the_forgers_response_if_nothing_is_wrong_with_it) {
  const auto message = initiation();
  EXPECT_TRUE(initiator_.consume_response(forged_response(message, {})).has_value());
}

TEST_F(HandshakeTest, refuses_a_response_with_a_step_left_out) {
  const auto message = initiation();
  const std::vector<Forgery> forgeries = {{.without_ee = true}, {.without_se = true}, {.without_psk = true}};
  for (std::size_t i = 0; i < forgeries.size(); ++i) {
    const auto answer = forged_response(message, forgeries[i]);
    EXPECT_EQ(initiator_.consume_response(answer).error(), DropReason::HandshakeAuthentication) << "forgery " << i;
    EXPECT_EQ(initiator_.state(), HandshakeState::CreatedInitiation);
  }
}

TEST_F(HandshakeTest, refuses_a_response_with_any_bit_of_its_fields_changed) {
  ASSERT_EQ(respond_to(initiation()), none);
  const auto genuine = response();
  constexpr std::size_t first = offsetof(MessageResponse, ephemeral);
  constexpr std::size_t last = offsetof(MessageResponse, macs);
  for (std::size_t i = first; i < last; ++i) {
    auto tampered = genuine;
    std::as_writable_bytes(std::span(&tampered, 1))[i] ^= std::byte{0x80};
    EXPECT_EQ(initiator_.consume_response(tampered).error(), DropReason::HandshakeAuthentication) << "byte " << i;
    EXPECT_EQ(initiator_.state(), HandshakeState::CreatedInitiation);
  }
  ASSERT_TRUE(initiator_.consume_response(genuine).has_value()) << "none of these may leave anything behind";
  const auto ours = initiator_.derive_session(now_);
  const auto theirs = responder_.derive_session(now_);
  EXPECT_TRUE(carries(*ours, *theirs, now_));
}

TEST_F(HandshakeTest, refuses_a_response_for_another_index) {
  ASSERT_EQ(respond_to(initiation()), none);
  auto answer = response();
  answer.receiver = initiator_index.value() + 1;
  EXPECT_EQ(initiator_.consume_response(answer).error(), DropReason::UnexpectedResponse);
  answer.receiver = initiator_index.value();
  EXPECT_TRUE(initiator_.consume_response(answer).has_value());
}

TEST_F(HandshakeTest, takes_one_response_and_while_one_is_awaited_only) {
  ASSERT_EQ(respond_to(initiation()), none);
  const auto answer = response();
  ASSERT_TRUE(initiator_.consume_response(answer).has_value());
  EXPECT_EQ(initiator_.consume_response(answer).error(), DropReason::UnexpectedResponse);
  ASSERT_TRUE(initiator_.derive_session(now_));
  EXPECT_EQ(initiator_.consume_response(answer).error(), DropReason::UnexpectedResponse);

  auto to_nobody = answer;
  to_nobody.receiver = 0u;
  EXPECT_EQ(initiator_.consume_response(to_nobody).error(), DropReason::UnexpectedResponse);
  EXPECT_EQ(initiator_.state(), HandshakeState::Zeroed);
}

TEST_F(HandshakeTest, a_new_initiation_of_ours_takes_the_place_of_the_old) {
  const auto first = initiation(0, SessionIndex(1));
  const auto second = initiation(1, SessionIndex(2));
  ASSERT_EQ(respond_to(first), none);
  const auto late = response();
  EXPECT_EQ(initiator_.consume_response(late).error(), DropReason::UnexpectedResponse);
  auto misdirected = late;
  misdirected.receiver = 2u;
  EXPECT_EQ(initiator_.consume_response(misdirected).error(), DropReason::HandshakeAuthentication);
  now_ += 1s;
  ASSERT_EQ(respond_to(second), none);
  EXPECT_TRUE(initiator_.consume_response(response()).has_value());
}

TEST_F(HandshakeTest, an_initiation_of_the_peer_takes_the_place_of_ours) {
  const auto ours = initiation();
  MessageInitiation theirs;
  ASSERT_TRUE(responder_.create_initiation(theirs, responder_index, timestamp(0), random_));
  ASSERT_EQ(consume(initiator_, alice_, theirs, now_), none);
  EXPECT_EQ(initiator_.consume_response(forged_response(ours, {})).error(), DropReason::UnexpectedResponse);
  MessageResponse answer;
  ASSERT_TRUE(initiator_.create_response(answer, SessionIndex(3), random_));
  EXPECT_TRUE(responder_.consume_response(answer).has_value());
}

// What must not stay behind (forward secrecy).

class HandshakeResidue : public HandshakeTest {
 protected:
  /// An initiation, and the ephemeral secret it was made with.
  std::pair<MessageInitiation, SecretKey> initiation_with_secret(int ticks = 0) {
    SeededRandom same = random_;
    return {initiation(ticks), generate_secret_key(same)};
  }
  /// Occurrences in the pool of secrets, which is one slab of 64 KiB for as few of them as there are here.
  std::size_t count_in_pool(KeyView needle) const {
    constexpr std::uintptr_t slab_size = 65536;
    const auto somewhere = reinterpret_cast<std::uintptr_t>(alice_.secret.bytes().data());
    const std::span slab(reinterpret_cast<const std::byte*>(somewhere / slab_size * slab_size), slab_size);
    std::size_t count = 0;
    for (std::size_t offset = 0; offset < slab_size; offset += key_size) {
      if (std::ranges::equal(slab.subspan(offset, key_size), needle)) ++count;
    }
    return count;
  }
  /// Occurrences besides our own copy.
  std::size_t others_of(const SecretKey& secret) const { return count_in_pool(secret.bytes()) - 1; }
};

TEST_F(HandshakeResidue, the_ephemeral_secret_is_gone_once_the_response_is_consumed) {
  const auto [message, secret] = initiation_with_secret();
  EXPECT_EQ(others_of(secret), 1u) << "it is still needed";
  ASSERT_EQ(respond_to(message), none);
  ASSERT_TRUE(initiator_.consume_response(response()).has_value());
  EXPECT_EQ(others_of(secret), 0u);
}

TEST_F(HandshakeResidue, the_ephemeral_secret_is_gone_when_another_initiation_takes_its_place) {
  const auto [ours, our_secret] = initiation_with_secret();
  const auto [again, second_secret] = initiation_with_secret(1);
  EXPECT_EQ(others_of(our_secret), 0u);
  EXPECT_EQ(others_of(second_secret), 1u);
  MessageInitiation theirs;
  ASSERT_TRUE(responder_.create_initiation(theirs, responder_index, timestamp(0), random_));
  ASSERT_EQ(consume(initiator_, alice_, theirs, now_), none);
  EXPECT_EQ(others_of(second_secret), 0u);
}

TEST_F(HandshakeResidue, the_responders_ephemeral_secret_is_gone_with_the_response) {
  ASSERT_EQ(respond_to(initiation()), none);
  SeededRandom same = random_;
  static_cast<void>(response());
  EXPECT_EQ(others_of(generate_secret_key(same)), 0u);
}

TEST_F(HandshakeResidue, clearing_wipes_the_ephemeral_secret) {
  const auto [message, secret] = initiation_with_secret();
  initiator_.clear();
  EXPECT_EQ(others_of(secret), 0u);
}

TEST_F(HandshakeResidue, the_chaining_key_is_gone_once_the_session_is_derived) {
  const auto message = initiation();
  ForgedHandshake forged(bob_.public_key, {});
  forged.follow(message, bob_.secret, alice_.public_key);
  const SecretKey ephemeral = generate_secret_key(random_);
  const auto answer = forged.response(responder_index, initiator_index, public_key_of(ephemeral),
                                      exchange(ephemeral, PublicKey(message.ephemeral)),
                                      exchange(ephemeral, alice_.public_key), preshared_key(1));
  ASSERT_TRUE(initiator_.consume_response(answer).has_value());
  EXPECT_EQ(count_in_pool(forged.chaining_key()), 1u);
  ASSERT_TRUE(initiator_.derive_session(now_));
  EXPECT_EQ(count_in_pool(forged.chaining_key()), 0u);
}

// Keys that change.

TEST_F(HandshakeTest, needs_the_same_preshared_key_on_both_sides) {
  responder_.set_preshared_key(preshared_key(2));
  ASSERT_EQ(respond_to(initiation()), none);
  const auto answer = response();
  EXPECT_EQ(initiator_.consume_response(answer).error(), DropReason::HandshakeAuthentication);
  initiator_.set_preshared_key(PresharedKey());
  EXPECT_EQ(initiator_.consume_response(answer).error(), DropReason::HandshakeAuthentication);
  initiator_.set_preshared_key(preshared_key(2));
  EXPECT_TRUE(initiator_.consume_response(answer).has_value());
}

TEST_F(HandshakeTest, works_without_preshared_keys) {
  initiator_.set_preshared_key(PresharedKey());
  responder_.set_preshared_key(PresharedKey());
  EXPECT_TRUE(initiator_.preshared_key().is_zero());
  ASSERT_EQ(respond_to(initiation()), none);
  EXPECT_TRUE(initiator_.consume_response(response()).has_value());
}

TEST_F(HandshakeTest, a_new_identity_starts_over) {
  ASSERT_EQ(respond_to(initiation()), none);
  const Identity new_bob(generate_secret_key(random_));
  responder_.set_identity(new_bob);
  EXPECT_EQ(responder_.state(), HandshakeState::Zeroed);
  MessageResponse message;
  EXPECT_FALSE(responder_.create_response(message, responder_index, random_));

  Handshake initiator(alice_, new_bob.public_key, preshared_key(1));
  MessageInitiation to_new_bob;
  ASSERT_TRUE(initiator.create_initiation(to_new_bob, initiator_index, timestamp(1), random_));
  now_ += 1s;
  ASSERT_EQ(consume(responder_, new_bob, to_new_bob, now_), none);
  EXPECT_TRUE(initiator.consume_response(response()).has_value());
}

TEST_F(HandshakeTest, clearing_forgets_what_was_in_progress) {
  const auto message = initiation();
  ASSERT_EQ(respond_to(message), none);
  const auto answer = response();
  initiator_.clear();
  responder_.clear();
  EXPECT_EQ(initiator_.state(), HandshakeState::Zeroed);
  EXPECT_EQ(initiator_.local_index(), SessionIndex());
  EXPECT_EQ(initiator_.consume_response(answer).error(), DropReason::UnexpectedResponse);
  EXPECT_FALSE(responder_.derive_session(now_));
}

}  // namespace
}  // namespace culvert
