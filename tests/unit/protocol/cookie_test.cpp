// mac1 proves knowledge of a key, mac2 of an address, each for its own message and time.
#include "culvert/protocol/cookie.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "culvert/crypto/aead.hpp"
#include "culvert/crypto/key_exchange.hpp"
#include "culvert/protocol/limits.hpp"
#include "support/crypto_ready.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<std::byte>;

PublicKey public_key(std::uint64_t seed) {
  SeededRandom random(seed);
  return public_key_of(generate_secret_key(random));
}

bool is_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

class CookieTest : public testing::Test {
 protected:
  /// A message of `size` bytes with macs.
  Bytes message(std::size_t size = 148) {
    Bytes bytes(size);
    random_.fill(bytes);
    holder_.add_macs(bytes, now_);
    return bytes;
  }
  MessageCookieReply reply_to(ByteView bytes) {
    MessageCookieReply reply;
    checker_.create_reply(reply, bytes, SessionIndex(0x01020304), source_, now_, random_);
    return reply;
  }
  /// The holder has a cookie from the checker afterwards.
  void hand_out_cookie() {
    const auto reply = reply_to(message());
    ASSERT_TRUE(holder_.consume_reply(reply, now_).has_value());
  }
  static ByteView mac2(const Bytes& bytes) { return ByteView(bytes).last(16); }

  SeededRandom random_{3};
  Timestamp now_{1h};
  PublicKey responder_ = public_key(1);
  Endpoint source_ = *Endpoint::parse("192.0.2.1:51820");
  CookieChecker checker_{responder_};
  CookieHolder holder_{responder_};
};

TEST_F(CookieTest, mac1_is_valid_on_initiations_and_responses) {
  EXPECT_TRUE(checker_.has_valid_mac1(message(148)));
  EXPECT_TRUE(checker_.has_valid_mac1(message(92)));
}

TEST_F(CookieTest, mac1_covers_every_byte_before_it_and_itself) {
  const Bytes genuine = message();
  for (std::size_t i = 0; i < genuine.size(); ++i) {
    Bytes tampered = genuine;
    tampered[i] ^= std::byte{1};
    EXPECT_EQ(checker_.has_valid_mac1(tampered), i >= genuine.size() - 16) << "byte " << i;
  }
}

TEST_F(CookieTest, mac1_is_for_one_receiver) {
  EXPECT_FALSE(CookieChecker(public_key(2)).has_valid_mac1(message()));
}

TEST_F(CookieTest, mac2_is_zero_without_a_cookie) {
  EXPECT_TRUE(is_zero(mac2(message())));
  EXPECT_FALSE(checker_.has_valid_mac2(message(), source_, now_));
}

TEST_F(CookieTest, no_mac2_is_valid_before_a_cookie_was_handed_out) {
  // Keyed with the cookie that a secret of 32 zero bytes would make.
  Bytes bytes = message();
  const Bytes zero_secret(32);
  const Be16 port = source_.port;
  const Mac cookie = keyed_blake2s(zero_secret, {source_.address.bytes(), bytes_of(port)});
  const Mac mac = keyed_blake2s(cookie, {ByteView(bytes).first(132)});
  copy_bytes(mac, ByteSpan(bytes).last(16));
  EXPECT_FALSE(checker_.has_valid_mac2(bytes, source_, now_));
}

TEST_F(CookieTest, mac2_is_valid_with_the_cookie) {
  hand_out_cookie();
  EXPECT_TRUE(checker_.has_valid_mac2(message(148), source_, now_));
  EXPECT_TRUE(checker_.has_valid_mac2(message(92), source_, now_));
}

TEST_F(CookieTest, mac2_covers_every_byte) {
  hand_out_cookie();
  const Bytes genuine = message();
  for (std::size_t i = 0; i < genuine.size(); ++i) {
    Bytes tampered = genuine;
    tampered[i] ^= std::byte{1};
    EXPECT_FALSE(checker_.has_valid_mac2(tampered, source_, now_)) << "byte " << i;
  }
}

TEST_F(CookieTest, mac2_is_bound_to_address_and_port) {
  hand_out_cookie();
  const Bytes bytes = message();
  for (const char* other : {"192.0.2.2:51820", "192.0.2.1:51821", "192.0.2.1:27850", "[2001:db8::1]:51820"}) {
    EXPECT_FALSE(checker_.has_valid_mac2(bytes, *Endpoint::parse(other), now_)) << other;
  }
  EXPECT_TRUE(checker_.has_valid_mac2(bytes, source_, now_));
}

TEST_F(CookieTest, works_over_ipv6) {
  source_ = *Endpoint::parse("[2001:db8::1]:51820");
  hand_out_cookie();
  const Bytes bytes = message();
  EXPECT_TRUE(checker_.has_valid_mac2(bytes, source_, now_));
  for (const char* other : {"[2001:db8::2]:51820", "[2001:db8::1]:51821", "[3001:db8::1]:51820"}) {
    EXPECT_FALSE(checker_.has_valid_mac2(bytes, *Endpoint::parse(other), now_)) << other;
  }
}

TEST_F(CookieTest, the_responder_honours_a_cookie_for_the_life_of_its_secret) {
  hand_out_cookie();
  const Bytes bytes = message();
  EXPECT_TRUE(checker_.has_valid_mac2(bytes, source_, now_ + limits::cookie_secret_max_age - 1ns));
  EXPECT_FALSE(checker_.has_valid_mac2(bytes, source_, now_ + limits::cookie_secret_max_age));
  EXPECT_FALSE(checker_.has_valid_mac2(bytes, source_, now_ + limits::cookie_secret_max_age + 1ns));
}

TEST_F(CookieTest, the_secret_lives_until_its_age_and_the_one_before_is_not_honoured) {
  hand_out_cookie();
  const Bytes bytes = message();
  now_ += limits::cookie_secret_max_age - 1ns;
  static_cast<void>(reply_to(bytes));
  EXPECT_TRUE(checker_.has_valid_mac2(bytes, source_, now_)) << "still the same secret";
  now_ += 1ns;
  hand_out_cookie();
  EXPECT_FALSE(checker_.has_valid_mac2(bytes, source_, now_));
  EXPECT_TRUE(checker_.has_valid_mac2(message(), source_, now_)) << "the new secret";
  now_ += limits::cookie_secret_max_age - 1ns;
  hand_out_cookie();
  EXPECT_TRUE(checker_.has_valid_mac2(message(), source_, now_)) << "and it has its own age";
}

TEST_F(CookieTest, the_initiator_uses_a_cookie_for_115_seconds) {
  hand_out_cookie();
  now_ += 115s - 1ns;
  EXPECT_FALSE(is_zero(mac2(message())));
  now_ += 1ns;
  EXPECT_TRUE(is_zero(mac2(message())));
  now_ += 1ns;
  EXPECT_TRUE(is_zero(mac2(message())));
}

TEST_F(CookieTest, the_reply_names_its_receiver_and_has_a_new_nonce) {
  const Bytes bytes = message();
  const auto first = reply_to(bytes);
  const auto second = reply_to(bytes);
  EXPECT_EQ(first.type, 3u);
  EXPECT_EQ(first.receiver, 0x01020304u);
  EXPECT_NE(first.nonce, second.nonce);
  EXPECT_NE(first.sealed_cookie, second.sealed_cookie);
}

TEST_F(CookieTest, the_reply_does_not_open_when_changed) {
  const auto genuine = reply_to(message());
  constexpr std::size_t first = offsetof(MessageCookieReply, nonce);
  for (std::size_t i = first; i < sizeof genuine; ++i) {
    auto tampered = genuine;
    std::as_writable_bytes(std::span(&tampered, 1))[i] ^= std::byte{1};
    EXPECT_EQ(holder_.consume_reply(tampered, now_).error(), DropReason::InvalidCookie) << "byte " << i;
  }
  EXPECT_TRUE(holder_.consume_reply(genuine, now_).has_value()) << "none of these may leave anything behind";
}

TEST_F(CookieTest, a_reply_that_does_not_open_changes_no_cookie) {
  hand_out_cookie();
  auto forged = reply_to(message());
  forged.sealed_cookie[0] ^= std::byte{1};
  EXPECT_EQ(holder_.consume_reply(forged, now_ + 100s).error(), DropReason::InvalidCookie);
  EXPECT_TRUE(checker_.has_valid_mac2(message(), source_, now_));
  now_ += 115s;
  EXPECT_TRUE(is_zero(mac2(message()))) << "its age is the old one's";
}

TEST_F(CookieTest, the_reply_is_bound_to_the_message_it_answers) {
  const auto old_reply = reply_to(message());
  static_cast<void>(message());
  EXPECT_EQ(holder_.consume_reply(old_reply, now_).error(), DropReason::InvalidCookie);
}

TEST_F(CookieTest, the_reply_must_come_from_the_peer) {
  const Bytes bytes = message();
  MessageCookieReply reply;
  CookieChecker(public_key(2)).create_reply(reply, bytes, SessionIndex(1), source_, now_, random_);
  EXPECT_EQ(holder_.consume_reply(reply, now_).error(), DropReason::InvalidCookie);
}

TEST_F(CookieTest, one_reply_per_message_sent) {
  CookieHolder other(responder_);
  const auto reply = reply_to(message());
  EXPECT_EQ(other.consume_reply(reply, now_).error(), DropReason::UnexpectedResponse) << "sent nothing";
  EXPECT_TRUE(holder_.consume_reply(reply, now_).has_value());
  EXPECT_EQ(holder_.consume_reply(reply, now_).error(), DropReason::UnexpectedResponse);
}

TEST_F(CookieTest, clearing_forgets_cookie_and_mac1) {
  hand_out_cookie();
  const Bytes bytes = message();
  const auto reply = reply_to(bytes);
  holder_.clear();
  EXPECT_EQ(holder_.consume_reply(reply, now_).error(), DropReason::UnexpectedResponse);
  EXPECT_TRUE(is_zero(mac2(message())));
}

}  // namespace
}  // namespace culvert
