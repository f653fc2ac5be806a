// From datagram to frame, and every reason to refuse one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/engine_snapshot.hpp"
#include "support/peer_pair.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

Endpoint spoofed(std::uint32_t number) {
  std::array<std::byte, 4> bytes{};
  store<Be32>(bytes.data(), 0xc6120000 + number);
  return {Address::from_bytes(Family::V4, bytes), static_cast<std::uint16_t>(1024 + number), 0};
}

class Inbound : public testing::Test {
 protected:
  Session& session_of_a() { return const_cast<Session&>(*pair_.peer_at_a().sessions.current()); }

  /// `frame` sealed by a, whatever it is.
  Bytes sealed(ByteView frame) {
    Bytes datagram(Session::sealed_size(frame.size(), limits::default_mtu));
    session_of_a().seal(frame, datagram);
    return datagram;
  }

  /// A fresh initiation of a's, with all else at rest.
  Bytes initiation() {
    pair_.advance(6s);
    const_cast<Peer&>(pair_.peer_at_a()).last_handshake_sent.reset();
    const_cast<Peer&>(pair_.peer_at_a()).timers.stop();
    if (Session* session = const_cast<Session*>(pair_.peer_at_a().sessions.current())) {
      session->set_sending_counter(limits::reject_after_messages);
    }
    pair_.send(pair_.a, pair_.b);
    return pair_.a.out.take().at(0).bytes;
  }

  /// Recomputes mac1, as anyone who knows b's public key can.
  void authenticate(ByteSpan handshake_message, const PublicKey& receiver) {
    CookieHolder(receiver).add_macs(handshake_message, pair_.now.time);
  }

  /// `datagram` from `from` must leave `node` silent and unchanged, and be counted as `reason`.
  void expect_refused(EngineNode& node, const Endpoint& from, ByteView datagram, DropReason reason) {
    const EngineSnapshot before(node.engine);
    const std::uint64_t count = node.dropped(reason);
    node.receive(from, datagram, pair_.now);
    EXPECT_EQ(node.dropped(reason), count + 1) << to_string(reason);
    EXPECT_TRUE(node.out.take().empty());
    EXPECT_TRUE(node.frames.take().empty());
    EXPECT_TRUE(EngineSnapshot(node.engine) == before);
  }
  void expect_refused(ByteView datagram, DropReason reason, const Endpoint& from) {
    expect_refused(pair_.b, from, datagram, reason);
  }
  void expect_refused(ByteView datagram, DropReason reason) { expect_refused(datagram, reason, pair_.a.endpoint); }

  /// b's answer to an initiation of a's that is still waiting for it.
  Bytes response() {
    pair_.b.receive(pair_.a.endpoint, initiation(), pair_.now);
    return pair_.b.out.take().at(0).bytes;
  }

  /// What b makes of a frame that a really sealed.
  std::vector<Bytes> received(ByteView frame, std::uint8_t outer_traffic_class = 0) {
    pair_.b.receive(pair_.a.endpoint, sealed(frame), pair_.now, outer_traffic_class);
    return pair_.b.frames.take();
  }

  /// Puts b under load with handshake messages from many addresses.
  void load_b() {
    for (std::uint32_t i = 0; i < 600; ++i) {
      MessageInitiation junk;
      junk.sender = i;
      const ByteSpan bytes = std::as_writable_bytes(std::span(&junk, 1));
      authenticate(bytes, pair_.b.public_key);
      pair_.b.receive(spoofed(i), bytes, pair_.now);
    }
    pair_.b.out.take();
  }

  PeerPair pair_;
};

// Silence.

TEST_F(Inbound, every_other_length_is_met_with_silence) {
  pair_.handshake();
  for (std::size_t size = 0; size < 200; ++size) {
    for (unsigned type = 0; type < 256; type += type < 6 ? 1 : 50) {
      Bytes datagram(size);
      if (size > 0) datagram[0] = static_cast<std::byte>(type);
      const EngineSnapshot before(pair_.b.engine);
      pair_.b.receive(pair_.a.endpoint, datagram, pair_.now);
      EXPECT_TRUE(EngineSnapshot(pair_.b.engine) == before);
    }
  }
  EXPECT_TRUE(pair_.b.out.take().empty());
}

TEST_F(Inbound, a_repeated_initiation_is_answered_from_the_address_it_came_to_and_from_any_in_turn) {
  const Path from{pair_.a.endpoint, Address::parse("198.51.100.7"), 3};
  const auto answer_path = [&] {
    Bytes message = initiation();
    pair_.b.engine.on_datagram(from, 0, message, pair_.now, pair_.b.frames, pair_.b.out);
    return pair_.b.out.sent.at(0).path;
  };
  for (const bool is_any : {false, true, false, true}) {
    const Path path = answer_path();
    EXPECT_EQ(path.local, is_any ? std::nullopt : from.local);
    EXPECT_EQ(path.remote, from.remote);
    EXPECT_EQ(pair_.peer_at_b().path, path) << "data takes the same way";
    pair_.b.out.take();
  }
  EXPECT_EQ(answer_path(), from);
  pair_.deliver(pair_.b, pair_.a);
  pair_.deliver(pair_.a, pair_.b);
  EXPECT_EQ(pair_.peer_at_b().sessions.next(), nullptr);
  pair_.b.out.take();
  EXPECT_EQ(answer_path(), from) << "the response before arrived";
}

TEST_F(Inbound, huge_datagrams_are_met_with_silence) {
  pair_.handshake();
  for (unsigned type = 0; type < 6; ++type) {
    Bytes datagram(65535);
    datagram[0] = static_cast<std::byte>(type);
    expect_refused(datagram, type == 4                ? DropReason::UnknownIndex
                             : type >= 1 && type <= 3 ? DropReason::DatagramLength
                                                      : DropReason::MessageType);
  }
}

TEST_F(Inbound, every_flipped_bit_of_every_message_is_met_with_silence) {
  const auto refuses_each_flip = [this](EngineNode& to, const Endpoint& from, const Bytes& message, std::size_t end) {
    const EngineSnapshot before(to.engine);
    for (std::size_t bit = 0; bit < end * 8; ++bit) {
      Bytes mutated = message;
      mutated[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      to.receive(from, mutated, pair_.now);
      ASSERT_TRUE(to.out.take().empty()) << bit;
      ASSERT_TRUE(to.frames.take().empty()) << bit;
      ASSERT_TRUE(EngineSnapshot(to.engine) == before) << bit;
    }
  };
  pair_.send(pair_.a, pair_.b);
  const Bytes initiation = pair_.a.out.take().at(0).bytes;
  // mac2 is looked at under load only.
  refuses_each_flip(pair_.b, pair_.a.endpoint, initiation, 148 - 16);
  pair_.b.receive(pair_.a.endpoint, initiation, pair_.now);
  const Bytes response = pair_.b.out.take().at(0).bytes;
  refuses_each_flip(pair_.a, pair_.b.endpoint, response, 92 - 16);
  pair_.a.receive(pair_.b.endpoint, response, pair_.now);
  const Bytes data = pair_.a.out.take().at(0).bytes;
  refuses_each_flip(pair_.b, pair_.a.endpoint, data, data.size());
  pair_.b.receive(pair_.a.endpoint, data, pair_.now);
  EXPECT_EQ(pair_.b.frames.take().size(), 1U);
}

TEST_F(Inbound, flipped_bits_under_a_right_mac1_are_met_with_silence) {
  // What is computed once per peer is computed now.
  pair_.b.receive(pair_.a.endpoint, initiation(), pair_.now);
  pair_.b.out.take();
  const Bytes original = initiation();
  // Four bytes of type and reserved bytes are found earlier; the sender's index is part of no transcript.
  for (std::size_t bit = 8 * 8; bit < 116 * 8; ++bit) {
    Bytes mutated = original;
    mutated[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    authenticate(mutated, pair_.b.public_key);
    pair_.advance(1ms);
    const EngineSnapshot before(pair_.b.engine);
    pair_.b.receive(spoofed(static_cast<std::uint32_t>(bit)), mutated, pair_.now);
    ASSERT_TRUE(pair_.b.out.take().empty()) << bit;
    ASSERT_TRUE(EngineSnapshot(pair_.b.engine) == before) << bit;
  }
  EXPECT_EQ(pair_.b.dropped(DropReason::HandshakeAuthentication), 108U * 8);
  pair_.b.receive(pair_.a.endpoint, original, pair_.now);
  EXPECT_EQ(pair_.b.out.take().size(), 1U);
}

TEST_F(Inbound, every_cut_of_every_message_is_met_with_silence) {
  pair_.send(pair_.a, pair_.b);
  const Bytes message = pair_.a.out.take().at(0).bytes;
  for (std::size_t size = 0; size < message.size(); ++size) {
    expect_refused(ByteView(message).first(size), DropReason::DatagramLength);
  }
  Bytes longer = message;
  longer.push_back(std::byte{0});
  expect_refused(longer, DropReason::DatagramLength);
}

TEST_F(Inbound, a_wrong_mac1_is_refused) {
  Bytes message = initiation();
  message[116] ^= std::byte{1};
  expect_refused(message, DropReason::InvalidMac1);
}

TEST_F(Inbound, a_handshake_message_is_refused_without_a_private_key) {
  const Bytes message = initiation();
  pair_.b.engine.set_private_key(SecretKey());
  expect_refused(message, DropReason::InvalidMac1);
}

TEST_F(Inbound, a_stranger_is_refused) {
  EngineNode stranger(77, 1420, spoofed(1), *Address::parse("10.0.0.9"));
  stranger.add_peer(pair_.b);
  pair_.send(stranger, pair_.b);
  expect_refused(stranger.out.take().at(0).bytes, DropReason::UnknownPeer, stranger.endpoint);
}

TEST_F(Inbound, a_replayed_initiation_is_refused) {
  const Bytes message = initiation();
  pair_.b.receive(pair_.a.endpoint, message, pair_.now);
  EXPECT_EQ(pair_.b.out.take().size(), 1U);
  pair_.advance(1s);
  expect_refused(message, DropReason::TimestampReplay);
  expect_refused(message, DropReason::TimestampReplay, spoofed(1));
}

TEST_F(Inbound, an_older_initiation_is_refused_after_a_newer_one) {
  const Bytes older = initiation();
  const Bytes newer = initiation();
  pair_.b.receive(pair_.a.endpoint, newer, pair_.now);
  pair_.b.out.take();
  pair_.advance(1s);
  expect_refused(older, DropReason::TimestampReplay);
}

TEST_F(Inbound, the_greatest_timestamp_outlives_the_sessions) {
  const Bytes message = initiation();
  pair_.b.receive(pair_.a.endpoint, message, pair_.now);
  pair_.b.out.take();
  pair_.advance(600s);
  pair_.b.engine.on_deadline(pair_.now, pair_.b.out);
  EXPECT_EQ(pair_.b.engine.peers().index_count(), 0U);
  expect_refused(message, DropReason::TimestampReplay);
}

TEST_F(Inbound, initiations_in_quick_succession_are_refused) {
  const Bytes first = initiation();
  const Bytes second = initiation();
  const Bytes third = initiation();
  pair_.b.receive(pair_.a.endpoint, first, pair_.now);
  pair_.b.out.take();
  pair_.advance(20ms - 1ns);
  expect_refused(second, DropReason::InitiationFlood);
  pair_.advance(1ns);
  pair_.b.receive(pair_.a.endpoint, third, pair_.now);
  EXPECT_EQ(pair_.b.out.take().size(), 1U);
}

TEST_F(Inbound, an_answered_initiation_costs_one_index) {
  for (int i = 0; i < 10; ++i) {
    const Bytes message = initiation();
    pair_.b.receive(pair_.a.endpoint, message, pair_.now);
    EXPECT_EQ(pair_.b.out.take().size(), 1U);
    EXPECT_EQ(pair_.b.engine.peers().index_count(), 1U);
  }
}

TEST_F(Inbound, of_two_initiations_that_cross_the_one_of_the_greater_key_is_kept) {
  int kept_at_a = 0;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    PeerPair pair(seed);
    pair.b.engine.set_endpoint(pair.a_at_b, pair.a.endpoint);
    pair.send(pair.a, pair.b);
    pair.send(pair.b, pair.a);
    const auto from_a = pair.a.out.take();
    const auto from_b = pair.b.out.take();
    pair.a.receive(pair.b.endpoint, from_b.at(0).bytes, pair.now);
    pair.b.receive(pair.a.endpoint, from_a.at(0).bytes, pair.now);
    const bool is_a_greater = pair.a.public_key > pair.b.public_key;
    kept_at_a += is_a_greater ? 1 : 0;
    const Peer& keeper = is_a_greater ? pair.peer_at_a() : pair.peer_at_b();
    const Peer& giver = is_a_greater ? pair.peer_at_b() : pair.peer_at_a();
    EXPECT_EQ(keeper.handshake.state(), HandshakeState::CreatedInitiation);
    EXPECT_EQ(giver.handshake.state(), HandshakeState::Zeroed);

    pair.exchange();
    EXPECT_EQ(pair.a.frames.take().size(), 1U);
    EXPECT_EQ(pair.b.frames.take().size(), 1U);
    ASSERT_NE(keeper.sessions.current(), nullptr);
    ASSERT_NE(giver.sessions.current(), nullptr);
    EXPECT_EQ(keeper.sessions.current()->local_index(), giver.sessions.current()->remote_index());
    EXPECT_TRUE(keeper.sessions.current()->is_initiator());
  }
  EXPECT_GT(kept_at_a, 0);
  EXPECT_LT(kept_at_a, 10);
}

TEST_F(Inbound, an_initiation_that_is_given_up_leaves_no_index) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    PeerPair pair(seed);
    pair.b.engine.set_endpoint(pair.a_at_b, pair.a.endpoint);
    pair.send(pair.b, pair.a);
    pair.send(pair.a, pair.b);
    pair.deliver(pair.a, pair.b);
    const std::size_t kept = pair.b.public_key > pair.a.public_key ? 1 : 0;
    EXPECT_EQ(pair.b.engine.peers().index_count(), 1 + kept);
  }
}

// Responses.

TEST_F(Inbound, a_response_to_nothing_is_refused) {
  const Bytes message = response();
  pair_.a.receive(pair_.b.endpoint, message, pair_.now);
  pair_.a.out.take();
  // The index names a session by now.
  expect_refused(pair_.a, pair_.b.endpoint, message, DropReason::UnexpectedResponse);

  Bytes elsewhere = message;
  store<Le32>(&elsewhere[8], load<Le32>(&message[8]) + 1);
  authenticate(elsewhere, pair_.a.public_key);
  expect_refused(pair_.a, pair_.b.endpoint, elsewhere, DropReason::UnexpectedResponse);
}

TEST_F(Inbound, a_response_naming_a_session_while_another_handshake_runs_is_refused) {
  pair_.handshake();
  const SessionIndex of_session = pair_.peer_at_a().sessions.current()->local_index();
  Bytes message = response();
  store<Le32>(&message[8], of_session.value());
  authenticate(message, pair_.a.public_key);
  expect_refused(pair_.a, pair_.b.endpoint, message, DropReason::UnexpectedResponse);
}

TEST_F(Inbound, a_response_to_a_superseded_initiation_is_refused) {
  const Bytes late = response();
  initiation();
  expect_refused(pair_.a, pair_.b.endpoint, late, DropReason::UnexpectedResponse);
}

TEST_F(Inbound, a_response_that_does_not_authenticate_is_refused_and_the_right_one_still_taken) {
  const Bytes message = response();
  for (const std::size_t at : {std::size_t{12}, std::size_t{44}, std::size_t{59}}) {
    Bytes wrong = message;
    wrong[at] ^= std::byte{1};
    authenticate(wrong, pair_.a.public_key);
    expect_refused(pair_.a, spoofed(1), wrong, DropReason::HandshakeAuthentication);
  }
  pair_.a.receive(pair_.b.endpoint, message, pair_.now);
  EXPECT_NE(pair_.peer_at_a().sessions.current(), nullptr);
}

TEST_F(Inbound, a_response_whose_ephemeral_is_a_low_order_point_is_refused) {
  Bytes message = response();
  std::fill(message.begin() + 12, message.begin() + 44, std::byte{0});
  authenticate(message, pair_.a.public_key);
  expect_refused(pair_.a, pair_.b.endpoint, message, DropReason::HandshakeAuthentication);
}

TEST_F(Inbound, an_initiation_whose_ephemeral_is_a_low_order_point_is_refused) {
  Bytes message = initiation();
  std::fill(message.begin() + 8, message.begin() + 40, std::byte{0});
  authenticate(message, pair_.b.public_key);
  expect_refused(message, DropReason::HandshakeAuthentication);
}

TEST_F(Inbound, a_wrong_mac1_of_a_response_is_refused) {
  Bytes message = response();
  message[60] ^= std::byte{1};
  expect_refused(pair_.a, pair_.b.endpoint, message, DropReason::InvalidMac1);
}

TEST_F(Inbound, the_initiator_proves_its_keys_at_once) {
  const Bytes message = response();
  pair_.a.receive(pair_.b.endpoint, message, pair_.now);
  ASSERT_EQ(pair_.a.out.sent.size(), 2U) << "what waited, or a keepalive, and a hello";
  EXPECT_EQ(std::to_integer<int>(pair_.a.out.sent[0].bytes[0]), 4);
}

TEST_F(Inbound, the_responder_waits_for_proof_before_it_sends) {
  pair_.send(pair_.a, pair_.b);
  pair_.deliver(pair_.a, pair_.b);
  pair_.b.out.take();
  EXPECT_EQ(pair_.peer_at_b().sessions.current(), nullptr);
  pair_.send(pair_.b, pair_.a);
  EXPECT_TRUE(pair_.b.out.take().empty());
  EXPECT_EQ(pair_.peer_at_b().staged.size(), 1U);
  EXPECT_FALSE(pair_.peer_at_b().last_handshake);
}

TEST_F(Inbound, proof_sets_the_responders_waiting_frames_free) {
  pair_.send(pair_.a, pair_.b);
  pair_.deliver(pair_.a, pair_.b);
  pair_.send(pair_.b, pair_.a);
  pair_.exchange();
  EXPECT_EQ(pair_.a.frames.take().size(), 1U);
  EXPECT_EQ(pair_.b.frames.take().size(), 1U);
}

// Cookies.

TEST_F(Inbound, under_load_an_initiation_without_mac2_gets_a_cookie_only) {
  const Bytes message = initiation();
  load_b();
  const EngineSnapshot before(pair_.b.engine);
  pair_.b.receive(pair_.a.endpoint, message, pair_.now);
  const auto sent = pair_.b.out.take();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].bytes.size(), 64U);
  EXPECT_EQ(sent[0].path.remote, pair_.a.endpoint);
  EXPECT_EQ(sent[0].traffic_class, 0x88);
  EXPECT_TRUE(EngineSnapshot(pair_.b.engine) == before);
}

TEST_F(Inbound, under_load_there_is_no_cookie_for_a_wrong_mac1) {
  Bytes message = initiation();
  message[116] ^= std::byte{1};
  load_b();
  expect_refused(message, DropReason::InvalidMac1);
}

TEST_F(Inbound, a_cookie_opens_the_door_to_its_address_and_port_only) {
  const Bytes refused = initiation();
  load_b();
  pair_.b.receive(pair_.a.endpoint, refused, pair_.now);
  pair_.deliver(pair_.b, pair_.a);

  const Bytes with_cookie = initiation();
  EXPECT_TRUE(
      std::any_of(with_cookie.end() - 16, with_cookie.end(), [](std::byte byte) { return byte != std::byte{}; }));
  load_b();
  const auto answer_to = [&](const Endpoint& from, const Bytes& message) {
    pair_.b.receive(from, message, pair_.now);
    return pair_.b.out.take().at(0).bytes.size();
  };
  Endpoint other_port = pair_.a.endpoint;
  ++other_port.port;
  EXPECT_EQ(answer_to(other_port, with_cookie), 64U);
  EXPECT_EQ(answer_to(spoofed(3), with_cookie), 64U);
  Bytes wrong = with_cookie;
  wrong.back() ^= std::byte{1};
  EXPECT_EQ(answer_to(pair_.a.endpoint, wrong), 64U);
  EXPECT_EQ(answer_to(pair_.a.endpoint, with_cookie), 92U);
}

TEST_F(Inbound, a_cookie_expires) {
  const Bytes refused = initiation();
  load_b();
  pair_.b.receive(pair_.a.endpoint, refused, pair_.now);
  pair_.deliver(pair_.b, pair_.a);
  const Bytes with_cookie = initiation();
  pair_.advance(120s);
  load_b();
  pair_.b.receive(pair_.a.endpoint, with_cookie, pair_.now);
  EXPECT_EQ(pair_.b.out.take().at(0).bytes.size(), 64U);
}

TEST_F(Inbound, even_with_cookies_a_source_has_a_limit_under_load) {
  const Bytes refused = initiation();
  load_b();
  pair_.b.receive(pair_.a.endpoint, refused, pair_.now);
  pair_.deliver(pair_.b, pair_.a);
  const Bytes with_cookie = initiation();
  load_b();
  for (int i = 0; i < 100; ++i) pair_.b.receive(pair_.a.endpoint, with_cookie, pair_.now);
  EXPECT_EQ(pair_.b.dropped(DropReason::RateLimited), 95U);
  EXPECT_EQ(pair_.b.dropped(DropReason::TimestampReplay), 4U);
  EXPECT_EQ(pair_.b.out.take().size(), 1U);
}

TEST_F(Inbound, a_full_sink_costs_a_cookie) {
  const Bytes message = initiation();
  load_b();
  pair_.b.out.is_full = true;
  const std::uint64_t count = pair_.b.dropped(DropReason::UnderLoad);
  pair_.b.receive(pair_.a.endpoint, message, pair_.now);
  EXPECT_EQ(pair_.b.dropped(DropReason::UnderLoad), count + 1);
  EXPECT_TRUE(pair_.b.out.take().empty());
}

TEST_F(Inbound, a_cookie_for_nobody_is_refused) {
  const Bytes message = initiation();
  load_b();
  pair_.b.receive(pair_.a.endpoint, message, pair_.now);
  Bytes cookie = pair_.b.out.take().at(0).bytes;
  store<Le32>(&cookie[4], load<Le32>(&cookie[4]) + 1);
  expect_refused(pair_.a, pair_.b.endpoint, cookie, DropReason::UnexpectedResponse);
}

TEST_F(Inbound, a_cookie_that_does_not_open_is_refused) {
  const Bytes message = initiation();
  load_b();
  pair_.b.receive(pair_.a.endpoint, message, pair_.now);
  Bytes cookie = pair_.b.out.take().at(0).bytes;
  for (std::size_t at = 8; at < 64; ++at) {
    Bytes wrong = cookie;
    wrong[at] ^= std::byte{1};
    expect_refused(pair_.a, pair_.b.endpoint, wrong, DropReason::InvalidCookie);
  }
  pair_.a.receive(pair_.b.endpoint, cookie, pair_.now);
  expect_refused(pair_.a, pair_.b.endpoint, cookie, DropReason::UnexpectedResponse);
}

TEST_F(Inbound, a_cookie_never_moves_the_endpoint) {
  const Bytes message = initiation();
  load_b();
  pair_.b.receive(pair_.a.endpoint, message, pair_.now);
  const Bytes cookie = pair_.b.out.take().at(0).bytes;
  pair_.a.receive(spoofed(5), cookie, pair_.now);
  EXPECT_EQ(pair_.a.dropped(DropReason::InvalidCookie), 0U);
  EXPECT_EQ(pair_.peer_at_a().path, (Path{pair_.b.endpoint, {}, 0}));
}

TEST_F(Inbound, nobody_gets_more_than_he_sends) {
  const Bytes message = initiation();
  const auto ledger = [&](const Bytes& in) {
    pair_.b.receive(pair_.a.endpoint, in, pair_.now);
    EXPECT_LE(static_cast<double>(pair_.b.out.sent_bytes()), 0.70 * static_cast<double>(in.size()));
    pair_.b.out.take();
  };
  ledger(message);
  load_b();
  for (int i = 0; i < 20; ++i) ledger(message);
  Bytes response_like(92);
  response_like[0] = std::byte{2};
  authenticate(response_like, pair_.b.public_key);
  pair_.b.receive(pair_.a.endpoint, response_like, pair_.now);
  EXPECT_LE(pair_.b.out.sent_bytes(), 64U);
}

// Data.

TEST_F(Inbound, data_for_an_unknown_index_is_refused) {
  pair_.handshake();
  Bytes datagram = sealed(pair_.frame(pair_.a, pair_.b));
  store<Le32>(&datagram[4], load<Le32>(&datagram[4]) ^ 1U);
  expect_refused(datagram, DropReason::UnknownIndex);
}

TEST_F(Inbound, data_for_the_index_of_a_handshake_is_refused) {
  pair_.send(pair_.a, pair_.b);
  pair_.a.out.take();
  Bytes datagram(48);
  datagram[0] = std::byte{4};
  store<Le32>(&datagram[4], pair_.peer_at_a().handshake.local_index().value());
  expect_refused(pair_.a, pair_.b.endpoint, datagram, DropReason::UnknownIndex);
}

TEST_F(Inbound, data_of_an_expired_session_is_refused) {
  pair_.handshake();
  const Bytes first = sealed(pair_.frame(pair_.a, pair_.b));
  const Bytes second = sealed(pair_.frame(pair_.a, pair_.b));
  pair_.advance(180s - 1ns);
  pair_.b.receive(pair_.a.endpoint, first, pair_.now);
  EXPECT_EQ(pair_.b.frames.take().size(), 1U);
  pair_.advance(1ns);
  expect_refused(second, DropReason::SessionExpired);
}

TEST_F(Inbound, data_that_does_not_authenticate_is_refused) {
  pair_.handshake();
  Bytes datagram = sealed(pair_.frame(pair_.a, pair_.b));
  datagram.back() ^= std::byte{1};
  expect_refused(datagram, DropReason::DataAuthentication);
  // A keepalive's length, and no key.
  Bytes empty(32);
  copy_bytes(ByteView(datagram).first(16), empty);
  expect_refused(empty, DropReason::DataAuthentication);
}

TEST_F(Inbound, data_beyond_the_last_counter_is_refused) {
  pair_.handshake();
  session_of_a().set_sending_counter(limits::reject_after_messages - 1);
  EXPECT_EQ(received(pair_.frame(pair_.a, pair_.b)).size(), 1U);
  Bytes datagram(48);
  datagram[0] = std::byte{4};
  store<Le32>(&datagram[4], session_of_a().remote_index().value());
  store<Le64>(&datagram[8], limits::reject_after_messages);
  expect_refused(datagram, DropReason::CounterExhausted);
}

TEST_F(Inbound, a_replayed_datagram_is_refused) {
  pair_.handshake();
  const Bytes datagram = sealed(pair_.frame(pair_.a, pair_.b));
  pair_.b.receive(pair_.a.endpoint, datagram, pair_.now);
  EXPECT_EQ(pair_.b.frames.take().size(), 1U);
  expect_refused(datagram, DropReason::Replay);
  expect_refused(datagram, DropReason::Replay, spoofed(1));
}

TEST_F(Inbound, datagrams_may_be_8128_late) {
  pair_.handshake();
  session_of_a().set_sending_counter(100);
  const Bytes inside = sealed(pair_.frame(pair_.a, pair_.b));
  session_of_a().set_sending_counter(99);
  const Bytes outside = sealed(pair_.frame(pair_.a, pair_.b));
  session_of_a().set_sending_counter(100 + 8128);
  EXPECT_EQ(received(pair_.frame(pair_.a, pair_.b)).size(), 1U);
  expect_refused(outside, DropReason::Replay);
  pair_.b.receive(pair_.a.endpoint, inside, pair_.now);
  EXPECT_EQ(pair_.b.frames.take().size(), 1U);
}

TEST_F(Inbound, a_source_that_is_not_the_peers_is_refused) {
  pair_.handshake();
  EXPECT_TRUE(received(PacketBuilder{*Address::parse("10.0.0.3"), pair_.b.inner}.udp_of_size(60)).empty());
  EXPECT_TRUE(received(PacketBuilder{*Address::parse("fd00::3"), *Address::parse("fd00::2")}.udp_of_size(60)).empty());
  EXPECT_EQ(pair_.b.dropped(DropReason::SourceNotAllowed), 2U);
}

TEST_F(Inbound, a_source_within_another_peers_longer_prefix_is_refused) {
  // a has the /24, a third peer one address in it: that address is the third's alone, on the whole device.
  pair_.b.engine.add_allowed_ip(pair_.a_at_b, *Prefix::parse("10.7.0.0/24"));
  SeededRandom random(5);
  const PeerId third = pair_.b.engine.ensure_peer(public_key_of(generate_secret_key(random)))->id;
  pair_.b.engine.add_allowed_ip(third, *Prefix::parse("10.7.0.5/32"));
  pair_.handshake();
  EXPECT_EQ(received(PacketBuilder{*Address::parse("10.7.0.4"), pair_.b.inner}.udp_of_size(60)).size(), 1U);
  EXPECT_EQ(received(PacketBuilder{*Address::parse("10.7.0.5"), pair_.b.inner}.udp_of_size(60)).size(), 0U);
  EXPECT_EQ(pair_.b.dropped(DropReason::SourceNotAllowed), 1U);
  pair_.b.engine.remove_peer(third);
  EXPECT_EQ(received(PacketBuilder{*Address::parse("10.7.0.5"), pair_.b.inner}.udp_of_size(60)).size(), 1U);
}

TEST_F(Inbound, lengths_inside_must_fit) {
  pair_.handshake();
  const Bytes v4 = pair_.frame(pair_.a, pair_.b, 64);
  const auto with_v4_length = [&](std::uint16_t length) {
    Bytes frame = v4;
    store<Be16>(&frame[2], length);
    return received(frame).size();
  };
  EXPECT_EQ(with_v4_length(64), 1U);
  EXPECT_EQ(with_v4_length(20), 1U);
  EXPECT_EQ(with_v4_length(19), 0U);
  EXPECT_EQ(with_v4_length(0), 0U);
  EXPECT_EQ(with_v4_length(65), 0U);
  EXPECT_EQ(with_v4_length(65535), 0U);

  pair_.b.engine.add_allowed_ip(pair_.a_at_b, *Prefix::parse("fd00::1/128"));
  const Bytes v6 = PacketBuilder{*Address::parse("fd00::1"), *Address::parse("fd00::2")}.udp_of_size(64);
  const auto with_v6_length = [&](std::uint16_t length) {
    Bytes frame = v6;
    store<Be16>(&frame[4], length);
    return received(frame).size();
  };
  EXPECT_EQ(with_v6_length(24), 1U);
  EXPECT_EQ(with_v6_length(0), 1U);
  EXPECT_EQ(with_v6_length(25), 0U);
  // With 40 added these are small numbers, in 16 bits.
  EXPECT_EQ(with_v6_length(0xffd8), 0U);
  EXPECT_EQ(with_v6_length(0xffff), 0U);

  EXPECT_EQ(received(Bytes(16, std::byte{0x45})).size(), 0U);
  EXPECT_EQ(received(Bytes(32, std::byte{0x60})).size(), 0U);
  EXPECT_EQ(received(Bytes(64, std::byte{0x70})).size(), 0U);
  EXPECT_EQ(pair_.b.dropped(DropReason::FrameHeader), 10U);
}

TEST_F(Inbound, padding_is_taken_off) {
  pair_.handshake();
  Bytes frame = pair_.frame(pair_.a, pair_.b, 50);
  const Bytes wanted = frame;
  frame.resize(1400);
  EXPECT_THAT(received(frame), testing::ElementsAre(wanted));
}

TEST_F(Inbound, a_congestion_mark_on_the_way_reaches_the_inside) {
  pair_.handshake();
  const auto with_mark = [&](std::uint8_t mark) {
    return PacketBuilder{pair_.a.inner, pair_.b.inner, mark}.udp_of_size(60);
  };
  EXPECT_THAT(received(with_mark(2), 3), testing::ElementsAre(with_mark(3)));
  EXPECT_THAT(received(with_mark(1), 3), testing::ElementsAre(with_mark(3)));
  EXPECT_THAT(received(with_mark(2), 0), testing::ElementsAre(with_mark(2)));
  EXPECT_THAT(received(with_mark(0), 0x88), testing::ElementsAre(with_mark(0)));
}

TEST_F(Inbound, a_congestion_mark_the_inside_cannot_carry_costs_the_packet) {
  pair_.handshake();
  EXPECT_TRUE(received(PacketBuilder{pair_.a.inner, pair_.b.inner, 0}.udp_of_size(60), 3).empty());
  EXPECT_EQ(pair_.b.dropped(DropReason::EcnMismatch), 1U);
}

// Roaming.

TEST_F(Inbound, thousands_of_unauthenticated_packets_from_elsewhere_change_nothing) {
  pair_.handshake();
  const Bytes data = sealed(pair_.frame(pair_.a, pair_.b));
  const Bytes taken = sealed(pair_.frame(pair_.a, pair_.b));
  pair_.b.receive(pair_.a.endpoint, taken, pair_.now);
  pair_.b.frames.take();
  for (std::uint32_t i = 0; i < 1000; ++i) {
    pair_.advance(1ms);
    Bytes forged = data;
    forged[16 + i % (forged.size() - 16)] ^= static_cast<std::byte>(1 + i % 255);
    expect_refused(forged, DropReason::DataAuthentication, spoofed(i));
    expect_refused(taken, DropReason::Replay, spoofed(i));
    MessageInitiation junk;
    const ByteSpan bytes = std::as_writable_bytes(std::span(&junk, 1));
    authenticate(bytes, pair_.b.public_key);
    expect_refused(bytes, DropReason::HandshakeAuthentication, spoofed(i));
  }
  EXPECT_EQ(pair_.peer_at_b().path->remote, pair_.a.endpoint);
}

TEST_F(Inbound, authenticated_data_moves_the_endpoint_even_when_its_frame_is_refused) {
  pair_.handshake();
  const Bytes bad = sealed(PacketBuilder{*Address::parse("10.0.0.3"), pair_.b.inner}.udp_of_size(60));
  pair_.b.receive(spoofed(1), bad, pair_.now);
  EXPECT_EQ(pair_.peer_at_b().path->remote, spoofed(1));
}

TEST_F(Inbound, every_kind_of_authenticated_packet_moves_the_endpoint) {
  const auto place = [&](const Peer& peer) { return peer.path->remote; };
  pair_.b.receive(spoofed(1), initiation(), pair_.now);
  EXPECT_EQ(place(pair_.peer_at_b()), spoofed(1));
  pair_.a.receive(spoofed(2), pair_.b.out.take().at(0).bytes, pair_.now);
  EXPECT_EQ(place(pair_.peer_at_a()), spoofed(2));
  pair_.b.receive(spoofed(3), pair_.a.out.take().at(0).bytes, pair_.now);
  EXPECT_EQ(place(pair_.peer_at_b()), spoofed(3));
  const Endpoint v6 = *Endpoint::parse("[2001:db8::1]:5");
  pair_.b.receive(v6, sealed({}), pair_.now);
  EXPECT_EQ(place(pair_.peer_at_b()), v6);

  std::size_t moves = 0;
  while (const auto event = pair_.b.engine.poll_event()) moves += event->kind == EventKind::EndpointMoved ? 1U : 0U;
  EXPECT_EQ(moves, 3U);
}

TEST_F(Inbound, answers_leave_by_the_address_the_question_came_to) {
  pair_.handshake();
  Bytes datagram = sealed(pair_.frame(pair_.a, pair_.b));
  const Path arrival{pair_.a.endpoint, *Address::parse("192.0.2.77"), 4};
  pair_.b.engine.on_datagram(arrival, 0, datagram, pair_.now, pair_.b.frames, pair_.b.out);
  pair_.send(pair_.b, pair_.a);
  EXPECT_EQ(pair_.b.out.take().at(0).path, arrival);
}

TEST_F(Inbound, a_freed_source_stays_free_for_a_second_whatever_is_heard) {
  pair_.handshake();
  const Path arrival{pair_.a.endpoint, *Address::parse("192.0.2.77"), 4};
  const auto hear = [&] {
    Bytes datagram = sealed(pair_.frame(pair_.a, pair_.b));
    pair_.b.engine.on_datagram(arrival, 0, datagram, pair_.now, pair_.b.frames, pair_.b.out);
  };
  const auto source = [&] {
    pair_.send(pair_.b, pair_.a);
    const Path path = pair_.b.out.take().at(0).path;
    EXPECT_EQ(path.remote, arrival.remote);
    return path.local;
  };
  hear();
  pair_.b.engine.free_source(pair_.a_at_b, pair_.now);
  EXPECT_EQ(source(), std::nullopt);
  hear();
  pair_.advance(999ms);
  hear();
  EXPECT_EQ(source(), std::nullopt);
  pair_.advance(1ms);
  EXPECT_EQ(source(), std::nullopt) << "until something is heard";
  hear();
  EXPECT_EQ(source(), arrival.local);
  pair_.b.engine.free_source(PeerId(77), pair_.now);
}

TEST_F(Inbound, a_freed_source_keeps_nobody_from_moving) {
  pair_.handshake();
  pair_.b.engine.free_source(pair_.a_at_b, pair_.now);
  pair_.b.receive(spoofed(1), sealed({}), pair_.now);
  EXPECT_EQ(pair_.peer_at_b().path->remote, spoofed(1));
}

// Fresh keys.

TEST_F(Inbound, the_initiator_asks_for_new_keys_when_data_comes_in_the_last_minute) {
  pair_.handshake();
  const auto data_arrives_at_a = [&] {
    pair_.send(pair_.b, pair_.a);
    pair_.deliver(pair_.b, pair_.a);
    return pair_.a.out.take();
  };
  pair_.advance(165s - 1ns);
  EXPECT_TRUE(data_arrives_at_a().empty());
  pair_.advance(1ns);
  const auto sent = data_arrives_at_a();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].bytes.size(), 148U);
  // Once per session, not once per packet.
  pair_.advance(6s);
  EXPECT_TRUE(data_arrives_at_a().empty());
}

TEST_F(Inbound, the_responder_does_not_ask_for_new_keys_in_the_last_minute) {
  pair_.handshake();
  pair_.advance(179s);
  pair_.b.receive(pair_.a.endpoint, sealed(pair_.frame(pair_.a, pair_.b)), pair_.now);
  EXPECT_TRUE(pair_.b.out.take().empty());
}

TEST_F(Inbound, only_data_earns_a_keepalive) {
  pair_.handshake();
  pair_.settle();
  pair_.b.receive(pair_.a.endpoint, sealed({}), pair_.now);
  pair_.advance(60s);
  pair_.b.engine.on_deadline(pair_.now, pair_.b.out);
  EXPECT_TRUE(pair_.b.out.take().empty());
  pair_.b.receive(pair_.a.endpoint, sealed(pair_.frame(pair_.a, pair_.b)), pair_.now);
  pair_.advance(10s);
  pair_.b.engine.on_deadline(pair_.now, pair_.b.out);
  EXPECT_EQ(pair_.b.out.take().size(), 1U);
}

}  // namespace
}  // namespace culvert
