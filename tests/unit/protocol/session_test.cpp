// Sessions seal and open within their limits, and a message that does not open changes nothing.
#include "culvert/protocol/session.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "culvert/protocol/limits.hpp"
#include "support/crypto_ready.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<std::byte>;

constexpr Timestamp birth{1h};
constexpr std::size_t mtu = 1420;

SymmetricKey key(std::uint64_t seed) {
  SymmetricKey key;
  SeededRandom(seed).fill(key.writable_bytes());
  return key;
}

Session make_session(bool is_initiator, CipherSuite suite = CipherSuite::ChaCha20Poly1305) {
  return Session({key(is_initiator ? 1 : 2), key(is_initiator ? 2 : 1), suite}, is_initiator,
                 SessionIndex(is_initiator ? 0x11111111 : 0x22222222),
                 SessionIndex(is_initiator ? 0x22222222 : 0x11111111), birth);
}

Bytes frame_of(std::size_t size) {
  Bytes frame(size);
  SeededRandom(size).fill(frame);
  return frame;
}

class SessionTest : public testing::Test {
 protected:
  Bytes seal(ByteView frame, std::size_t device_mtu = mtu) {
    Bytes datagram(Session::sealed_size(frame.size(), device_mtu), std::byte{0xee});
    ours_.seal(frame, datagram);
    return datagram;
  }
  /// Opens a copy, so that a datagram can be used again.
  DropReason open(Bytes datagram, Timestamp now = birth) {
    auto message = parse_message(datagram);
    const auto opened = theirs_.open(std::get<MessageData>(*message), now);
    return opened ? none : opened.error();
  }
  static constexpr DropReason none = DropReason::DatagramLength;

  Session ours_ = make_session(true);
  Session theirs_ = make_session(false);
};

TEST_F(SessionTest, carries_frames_of_any_length_in_both_directions) {
  for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 1419u, 1420u, 9000u}) {
    for (const bool by_us : {true, false}) {
      Session& from = by_us ? ours_ : theirs_;
      Session& to = by_us ? theirs_ : ours_;
      const Bytes frame = frame_of(size);
      Bytes datagram(Session::sealed_size(size, 9000));
      from.seal(frame, datagram);
      auto message = parse_message(datagram);
      const auto& data = std::get<MessageData>(*message);
      EXPECT_EQ(data.receiver, to.local_index());
      const auto opened = to.open(data, birth);
      ASSERT_TRUE(opened.has_value()) << size;
      EXPECT_EQ(opened->data(), data.sealed.data());
      EXPECT_EQ(opened->size(), datagram.size() - 32);
      EXPECT_TRUE(std::equal(frame.begin(), frame.end(), opened->begin()));
      EXPECT_TRUE(std::all_of(opened->begin() + static_cast<std::ptrdiff_t>(size), opened->end(),
                              [](std::byte padding) { return padding == std::byte{0}; }));
    }
  }
}

TEST_F(SessionTest, pads_to_16_but_never_beyond_the_mtu) {
  struct Case {
    std::size_t frame;
    std::size_t mtu;
    std::size_t padded;
  };
  constexpr Case cases[] = {
      {0, 1420, 0},       {1, 1420, 16},      {15, 1420, 16},     {16, 1420, 16},     {17, 1420, 32},
      {1408, 1420, 1408}, {1409, 1420, 1420}, {1419, 1420, 1420}, {1420, 1420, 1420}, {1421, 1420, 1421},
      {1500, 1420, 1500}, {99, 100, 100},     {1, 8, 8},          {9, 8, 9},
  };
  for (const auto& [frame, device_mtu, padded] : cases) {
    EXPECT_EQ(Session::sealed_size(frame, device_mtu), 32 + padded) << frame << " in " << device_mtu;
  }
}

TEST_F(SessionTest, writes_type_receiver_and_counter_before_the_sealed_frame) {
  ours_.set_sending_counter(0x0102030405060708);
  const Bytes frame = frame_of(20);
  const Bytes datagram = seal(frame);
  ASSERT_EQ(datagram.size(), 64u);
  EXPECT_EQ(load<Le32>(datagram.data()), 4u);
  EXPECT_EQ(load<Le32>(datagram.data() + 4), 0x22222222u);
  EXPECT_EQ(load<Le64>(datagram.data() + 8), 0x0102030405060708u);

  Bytes padded = frame;
  padded.resize(32);
  Bytes expected(48);
  Aead(key(1)).seal(0x0102030405060708, padded, {}, expected);
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), datagram.begin() + 16, datagram.end()));
}

TEST_F(SessionTest, pads_a_frame_in_the_memory_behind_it_and_leaves_that_as_it_was) {
  for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 100u, 1419u, 1420u, 1421u}) {
    Bytes memory = frame_of(size + limits::padding_multiple);
    const Bytes before = memory;
    Bytes datagram(Session::sealed_size(size, mtu));
    const std::uint64_t counter = ours_.claim_counters(1);
    ours_.seal_with_room(ours_.suite(), counter, ByteSpan(memory).first(size), datagram);
    EXPECT_EQ(memory, before) << size;

    ours_.set_sending_counter(counter);
    EXPECT_EQ(datagram, seal(ByteView(before).first(size))) << size;
  }
}

TEST_F(SessionTest, seals_a_frame_that_lies_in_place) {
  for (const std::size_t size : {0u, 5u, 16u, 100u, 1420u}) {
    const Bytes frame = frame_of(size);
    Bytes datagram(Session::sealed_size(size, mtu));
    std::copy(frame.begin(), frame.end(), datagram.begin() + 16);
    const std::uint64_t counter = ours_.sending_counter();
    ours_.seal(ByteView(datagram).subspan(16, size), datagram);

    ours_.set_sending_counter(counter);
    EXPECT_EQ(datagram, seal(frame)) << size;
  }
}

TEST_F(SessionTest, uses_each_counter_once) {
  const Bytes first = seal({});
  const Bytes second = seal({});
  EXPECT_EQ(ours_.sending_counter(), 2u);
  EXPECT_EQ(load<Le64>(first.data() + 8), 0u);
  EXPECT_EQ(load<Le64>(second.data() + 8), 1u);
  EXPECT_NE(first, second);
}

TEST_F(SessionTest, cannot_seal_from_reject_after_time_on) {
  EXPECT_TRUE(ours_.can_seal(birth));
  EXPECT_TRUE(ours_.can_seal(birth + limits::reject_after_time - 1ns));
  EXPECT_FALSE(ours_.can_seal(birth + limits::reject_after_time));
  EXPECT_FALSE(ours_.can_seal(birth + limits::reject_after_time + 1ns));
}

TEST_F(SessionTest, cannot_seal_from_reject_after_messages_on) {
  ours_.set_sending_counter(limits::reject_after_messages - 1);
  EXPECT_TRUE(ours_.can_seal(birth));
  EXPECT_EQ(open(seal({})), none) << "the last counter is good on the other side, too";
  EXPECT_EQ(ours_.sending_counter(), limits::reject_after_messages);
  EXPECT_FALSE(ours_.can_seal(birth));
  ours_.set_sending_counter(limits::reject_after_messages + 1);
  EXPECT_FALSE(ours_.can_seal(birth));
}

TEST_F(SessionTest, needs_a_new_key_when_the_initiator_sends_after_rekey_after_time) {
  EXPECT_FALSE(ours_.needs_rekey_on_send(birth + limits::rekey_after_time - 1ns));
  EXPECT_TRUE(ours_.needs_rekey_on_send(birth + limits::rekey_after_time));
  EXPECT_TRUE(ours_.needs_rekey_on_send(birth + limits::rekey_after_time + 1ns));
  EXPECT_FALSE(theirs_.needs_rekey_on_send(birth + 10 * limits::rekey_after_time)) << "never for the responder";
}

TEST_F(SessionTest, needs_a_new_key_after_rekey_after_messages_on_either_side) {
  for (Session* session : {&ours_, &theirs_}) {
    session->set_sending_counter(limits::rekey_after_messages - 1);
    EXPECT_FALSE(session->needs_rekey_on_send(birth));
    session->set_sending_counter(limits::rekey_after_messages);
    EXPECT_FALSE(session->needs_rekey_on_send(birth));
    session->set_sending_counter(limits::rekey_after_messages + 1);
    EXPECT_TRUE(session->needs_rekey_on_send(birth));
  }
}

TEST_F(SessionTest, asks_for_a_last_minute_handshake_once_and_as_initiator_only) {
  constexpr auto last_minute = birth + 165s;
  EXPECT_FALSE(ours_.needs_rekey_on_receive(last_minute - 1ns));
  EXPECT_TRUE(ours_.needs_rekey_on_receive(last_minute));
  EXPECT_FALSE(ours_.needs_rekey_on_receive(last_minute));
  EXPECT_FALSE(ours_.needs_rekey_on_receive(last_minute + 10s));
  EXPECT_FALSE(theirs_.needs_rekey_on_receive(last_minute));
  Session other = make_session(true);
  EXPECT_TRUE(other.needs_rekey_on_receive(last_minute + 1ns));
}

TEST_F(SessionTest, opens_nothing_from_reject_after_time_on) {
  const Bytes first = seal({});
  const Bytes second = seal({});
  EXPECT_EQ(open(first, birth + limits::reject_after_time - 1ns), none);
  EXPECT_EQ(open(second, birth + limits::reject_after_time), DropReason::SessionExpired);
  EXPECT_EQ(open(second, birth + limits::reject_after_time + 1ns), DropReason::SessionExpired);
}

TEST_F(SessionTest, opens_no_counter_from_reject_after_messages_on) {
  for (const std::uint64_t counter :
       {limits::reject_after_messages, limits::reject_after_messages + 1, ~std::uint64_t{0}}) {
    Bytes datagram(32);
    MessageDataHeader header;
    header.receiver = 0x22222222u;
    header.counter = counter;
    copy_bytes(bytes_of(header), datagram);
    Aead(key(1)).seal(counter, {}, {}, ByteSpan(datagram).subspan(16));
    EXPECT_EQ(open(datagram), DropReason::CounterExhausted) << counter;
  }
}

TEST_F(SessionTest, opens_each_message_once) {
  const Bytes datagram = seal(frame_of(40));
  EXPECT_EQ(open(datagram), none);
  EXPECT_EQ(open(datagram), DropReason::Replay);
}

TEST_F(SessionTest, opens_messages_in_any_order_within_the_window) {
  const Bytes oldest = seal({});
  const Bytes old = seal({});
  ours_.set_sending_counter(1 + limits::replay_window_size);
  EXPECT_EQ(open(seal({})), none);
  EXPECT_EQ(open(old), none);
  EXPECT_EQ(open(oldest), DropReason::Replay);
}

TEST_F(SessionTest, opens_nothing_that_was_changed_on_the_way) {
  const Bytes genuine = seal(frame_of(40));
  for (std::size_t i = 8; i < genuine.size(); ++i) {
    Bytes tampered = genuine;
    tampered[i] ^= std::byte{1};
    EXPECT_EQ(open(tampered), DropReason::DataAuthentication) << "byte " << i;
  }
  for (std::size_t size = 32; size < genuine.size(); ++size) {
    EXPECT_EQ(open(Bytes(genuine.begin(), genuine.begin() + static_cast<std::ptrdiff_t>(size))),
              DropReason::DataAuthentication)
        << "length " << size;
  }
  EXPECT_EQ(open(genuine), none) << "none of these may leave anything behind";
}

TEST_F(SessionTest, does_not_open_its_own_messages) {
  Bytes datagram = seal(frame_of(40));
  auto message = parse_message(datagram);
  EXPECT_EQ(ours_.open(std::get<MessageData>(*message), birth).error(), DropReason::DataAuthentication);
}

TEST_F(SessionTest, checks_age_then_counter_then_tag_then_replay) {
  const Bytes genuine = seal({});
  Bytes forged = genuine;
  forged.back() ^= std::byte{1};
  Bytes exhausted = forged;
  store<Le64>(exhausted.data() + 8, limits::reject_after_messages);

  EXPECT_EQ(open(exhausted, birth + limits::reject_after_time), DropReason::SessionExpired);
  EXPECT_EQ(open(exhausted), DropReason::CounterExhausted);
  EXPECT_EQ(open(genuine), none);
  EXPECT_EQ(open(forged), DropReason::DataAuthentication);
  EXPECT_EQ(open(genuine, birth + limits::reject_after_time), DropReason::SessionExpired);
}

TEST_F(SessionTest, a_message_that_does_not_open_moves_neither_window_nor_counter) {
  const Bytes genuine = seal({});
  const Bytes late = seal({});
  Bytes far_ahead = genuine;
  store<Le64>(far_ahead.data() + 8, limits::reject_after_messages - 1);
  Bytes exhausted = genuine;
  store<Le64>(exhausted.data() + 8, limits::reject_after_messages);

  theirs_.set_sending_counter(5);
  EXPECT_EQ(open(far_ahead), DropReason::DataAuthentication);
  EXPECT_EQ(open(exhausted), DropReason::CounterExhausted);
  EXPECT_EQ(open(late, birth + limits::reject_after_time), DropReason::SessionExpired);
  EXPECT_EQ(theirs_.sending_counter(), 5u);
  EXPECT_TRUE(theirs_.can_seal(birth));
  EXPECT_EQ(open(genuine), none);
  EXPECT_EQ(open(late), none);
}

TEST_F(SessionTest, carries_frames_under_every_suite_and_opens_those_of_its_own_only) {
  for (const CipherSuite suite : all_cipher_suites) {
    if (!is_usable(suite)) continue;
    Session from = make_session(true, suite);
    const Bytes frame = frame_of(100);
    for (const CipherSuite other : all_cipher_suites) {
      if (!is_usable(other)) continue;
      Session to = make_session(false, other);
      Bytes datagram(Session::sealed_size(frame.size(), mtu));
      from.seal(frame, datagram);
      EXPECT_EQ(load<Le32>(datagram.data()), std::uint32_t(data_type_of(suite)));
      auto message = parse_message(datagram);
      const auto opened = to.open(std::get<MessageData>(*message), birth);
      if (suite == other) {
        ASSERT_TRUE(opened.has_value());
        EXPECT_TRUE(std::equal(frame.begin(), frame.end(), opened->begin()));
        EXPECT_EQ(to.open(std::get<MessageData>(*message), birth).has_error(), true) << "a replay, or no message";
      } else {
        ASSERT_TRUE(opened.has_error());
        EXPECT_EQ(opened.error(), DropReason::CipherMismatch);
      }
    }
  }
}

TEST_F(SessionTest, a_type_changed_on_the_way_is_a_mismatch_and_leaves_nothing_behind) {
  const Bytes genuine = seal(frame_of(40));
  Bytes other_type = genuine;
  other_type[0] = std::byte{0xc2};
  std::fill(other_type.end() - aead_tag_size, other_type.end(), std::byte{0});
  EXPECT_EQ(open(other_type), DropReason::CipherMismatch) << "what anybody can make";
  EXPECT_EQ(open(other_type, birth + limits::reject_after_time), DropReason::CipherMismatch) << "looked at first";
  EXPECT_EQ(open(genuine), none);
}

/// Sessions that begin with ChaCha20-Poly1305 and may agree on no cipher at all, which every machine can use.
class SecondSuite : public testing::Test {
 protected:
  static constexpr auto first = CipherSuite::ChaCha20Poly1305;
  static constexpr auto second = CipherSuite::None;

  static Session make(bool is_initiator) {
    const auto keys = [&](std::uint64_t seed, CipherSuite suite) {
      return Session::Keys{key(is_initiator ? seed : seed + 1), key(is_initiator ? seed + 1 : seed), suite};
    };
    return Session(keys(1, first), is_initiator, SessionIndex(is_initiator ? 1 : 2), SessionIndex(is_initiator ? 2 : 1),
                   birth, keys(3, second));
  }
  static Bytes seal(Session&& from) { return seal(from); }
  static Bytes seal(Session& from, std::size_t size = 64) {
    Bytes datagram(Session::sealed_size(size, mtu));
    from.seal(frame_of(size), datagram);
    return datagram;
  }
  static std::optional<DropReason> refusal(Session& to, Bytes datagram) {
    auto message = parse_message(datagram);
    const auto opened = to.open(std::get<MessageData>(*message), birth);
    return opened ? std::nullopt : std::optional(opened.error());
  }
  static std::uint32_t type_of(const Bytes& datagram) { return load<Le32>(datagram.data()); }

  Session ours_ = make(true);
  Session theirs_ = make(false);
};

TEST_F(SecondSuite, is_used_when_both_have_offered_it_and_not_before) {
  EXPECT_EQ(ours_.suites(), (SuiteSet{first, second}));
  ours_.agree({first, second});
  EXPECT_EQ(ours_.suite(), first) << "not offered by us";
  ours_.offered();
  EXPECT_EQ(ours_.suite(), first);
  ours_.agree({first});
  EXPECT_EQ(ours_.suite(), first) << "not opened by them";
  ours_.agree({first, second});
  EXPECT_EQ(ours_.suite(), second);
  EXPECT_EQ(type_of(seal(ours_)), std::uint32_t(data_type_of(second)));
  ours_.agree({first});
  EXPECT_EQ(ours_.suite(), second) << "an answer that comes late takes nothing back";
}

TEST_F(SecondSuite, is_opened_once_it_was_offered) {
  ours_.offered();
  ours_.agree({second});
  const Bytes early = seal(ours_);
  EXPECT_EQ(refusal(theirs_, early), DropReason::CipherMismatch);
  theirs_.offered();
  EXPECT_EQ(refusal(theirs_, early), std::nullopt);
  EXPECT_EQ(refusal(theirs_, seal(make(true))), DropReason::Replay) << "one window for both: that counter is taken";
}

TEST_F(SecondSuite, shares_counter_and_window_with_the_first) {
  theirs_.offered();
  ours_.offered();
  const Bytes before = seal(ours_);
  const std::uint64_t claimed = ours_.claim_counters(1);
  const CipherSuite suite_then = ours_.suite();
  ours_.agree({second});
  const Bytes after = seal(ours_);
  EXPECT_EQ(load<Le64>(after.data() + 8), 2u);
  Bytes late(Session::sealed_size(64, mtu));
  ours_.seal_with(suite_then, claimed, frame_of(64), late);
  EXPECT_EQ(type_of(late), std::uint32_t(data_type_of(first)));
  for (const Bytes& datagram : {after, before, late}) EXPECT_EQ(refusal(theirs_, datagram), std::nullopt);
  for (const Bytes& datagram : {after, before, late}) EXPECT_EQ(refusal(theirs_, datagram), DropReason::Replay);
}

TEST_F(SecondSuite, does_not_exist_in_a_session_without_its_keys) {
  Session plain = make_session(true);
  plain.offered();
  plain.agree({first, second});
  EXPECT_EQ(plain.suite(), first);
  EXPECT_EQ(plain.suites(), SuiteSet{first});
  theirs_.offered();
  theirs_.agree({second});
  EXPECT_EQ(refusal(plain, seal(theirs_)), DropReason::CipherMismatch);
}

TEST_F(SessionTest, knows_whether_it_has_opened_anything) {
  EXPECT_FALSE(theirs_.has_opened());
  EXPECT_TRUE(theirs_.accepts(7));
  EXPECT_TRUE(theirs_.has_opened());
  EXPECT_FALSE(ours_.accepts(limits::reject_after_messages));
  EXPECT_FALSE(ours_.has_opened());
}

}  // namespace
}  // namespace culvert
