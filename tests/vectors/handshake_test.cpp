// Whole handshakes, byte for byte, against an implementation in another language.
#include "culvert/protocol/handshake.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "culvert/protocol/cookie.hpp"
#include "handshake_vectors.hpp"
#include "support/crypto_ready.hpp"
#include "support/hex.hpp"
#include "support/scripted_random.hpp"

namespace culvert {

void PrintTo(const HandshakeVector& vector, std::ostream* out) {
  *out << vector.name;
}

namespace {

template <class Wire>
requires(sizeof(Wire) > 32) std::string hex_of(const Wire& message) {
  return to_hex(bytes_of(message));
}

template <class Wire>
ByteSpan writable(Wire& message) {
  return std::as_writable_bytes(std::span(&message, 1));
}

class RecordedHandshake : public testing::TestWithParam<HandshakeVector> {
 protected:
  static PresharedKey psk() { return PresharedKey(array_from_hex<32>(GetParam().preshared_key)); }
  void draw(std::string_view hex) { random_.expect(from_hex(hex)); }

  const HandshakeVector& vector_ = GetParam();
  ScriptedRandom random_;
  const Identity alice_{SecretKey(array_from_hex<32>(vector_.initiator_secret))};
  const Identity bob_{SecretKey(array_from_hex<32>(vector_.responder_secret))};
  Handshake initiator_{alice_, bob_.public_key, psk()};
  Handshake responder_{bob_, alice_.public_key, psk()};
  CookieHolder cookies_of_bob_{bob_.public_key};
  CookieHolder cookies_of_alice_{alice_.public_key};
  CookieChecker checker_of_bob_{bob_.public_key};
  CookieChecker checker_of_alice_{alice_.public_key};
};

TEST_P(RecordedHandshake, is_reproduced_byte_for_byte) {
  const Timestamp now{std::chrono::hours(1)};
  const Endpoint source = *Endpoint::parse(vector_.source);
  EXPECT_EQ(to_hex(alice_.public_key.bytes()), vector_.initiator_public);
  EXPECT_EQ(to_hex(bob_.public_key.bytes()), vector_.responder_public);

  MessageInitiation first;
  draw(vector_.first_ephemeral);
  const Tai64n first_time = Tai64n::from(WallTime(std::chrono::nanoseconds(vector_.wall)));
  ASSERT_TRUE(initiator_.create_initiation(first, SessionIndex(vector_.first_index), first_time, random_));
  cookies_of_bob_.add_macs(writable(first), now);
  EXPECT_EQ(hex_of(first), vector_.first_initiation);
  EXPECT_TRUE(checker_of_bob_.has_valid_mac1(bytes_of(first)));
  EXPECT_FALSE(checker_of_bob_.has_valid_mac2(bytes_of(first), source, now));

  MessageCookieReply reply;
  draw(vector_.cookie_secret);
  draw(vector_.cookie_nonce);
  checker_of_bob_.create_reply(reply, bytes_of(first), SessionIndex(first.sender), source, now, random_);
  EXPECT_EQ(hex_of(reply), vector_.cookie_reply);
  ASSERT_TRUE(cookies_of_bob_.consume_reply(reply, now).has_value());

  MessageInitiation second;
  draw(vector_.second_ephemeral);
  const Tai64n second_time = Tai64n::from(WallTime(std::chrono::nanoseconds(vector_.second_wall)));
  ASSERT_TRUE(initiator_.create_initiation(second, SessionIndex(vector_.second_index), second_time, random_));
  cookies_of_bob_.add_macs(writable(second), now);
  EXPECT_EQ(hex_of(second), vector_.second_initiation);
  EXPECT_TRUE(checker_of_bob_.has_valid_mac2(bytes_of(second), source, now));

  auto opened = open_initiation(bob_, second);
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(opened->initiator, alice_.public_key);
  ASSERT_TRUE(responder_.consume_initiation(std::move(*opened), now).has_value());
  MessageResponse response;
  draw(vector_.response_ephemeral);
  ASSERT_TRUE(responder_.create_response(response, SessionIndex(vector_.response_index), random_));
  cookies_of_alice_.add_macs(writable(response), now);
  EXPECT_EQ(hex_of(response), vector_.response);
  EXPECT_TRUE(checker_of_alice_.has_valid_mac1(bytes_of(response)));
  EXPECT_TRUE(random_.is_exhausted());

  ASSERT_TRUE(initiator_.consume_response(response).has_value());
  const auto initiator_session = initiator_.derive_session(now);
  const auto responder_session = responder_.derive_session(now);
  ASSERT_TRUE(initiator_session && responder_session);
  for (const TransportVector& transport : vector_.transports) {
    Session& from = transport.by_initiator ? *initiator_session : *responder_session;
    Session& to = transport.by_initiator ? *responder_session : *initiator_session;
    const auto frame = from_hex(transport.frame);
    std::vector<std::byte> datagram(Session::sealed_size(frame.size(), transport.mtu));
    from.seal(frame, datagram);
    ASSERT_EQ(to_hex(datagram), transport.message);

    auto message = parse_message(datagram);
    const auto plaintext = to.open(std::get<MessageData>(*message), now);
    ASSERT_TRUE(plaintext.has_value());
    EXPECT_EQ(to_hex(plaintext->first(frame.size())), transport.frame);
  }
}

INSTANTIATE_TEST_SUITE_P(Handshakes, RecordedHandshake, testing::ValuesIn(handshake_vectors), [](const auto& vector) {
  std::string name(vector.param.name);
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
});

}  // namespace
}  // namespace culvert
