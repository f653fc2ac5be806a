// What two engines say of themselves, how often, and what follows from it.
#include "culvert/engine/agreement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "culvert/crypto/aead.hpp"
#include "culvert/protocol/envelope.hpp"
#include "support/engine_snapshot.hpp"
#include "support/peer_pair.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using Due = Agreement::Due;

constexpr Timestamp start{std::chrono::hours(1)};

HelloMessage hello_of(DeviceMode mode, bool answers = false) {
  HelloMessage hello;
  hello.mode = mode;
  hello.answers = answers;
  return hello;
}

/// Lets a whole session pass in which nothing is heard; returns how many hellos were due.
unsigned pass_silent_session(Agreement& agreement, Timestamp at) {
  agreement.session_began(true, at);
  unsigned hellos = 0;
  for (int second = 0; second < 10; ++second, at += 1s) hellos += agreement.take_due(at) == Due::Hello;
  EXPECT_FALSE(agreement.deadline());
  return hellos;
}

TEST(Agreement, asks_three_times_a_second_apart_and_takes_silence_for_stock) {
  Agreement agreement;
  EXPECT_EQ(agreement.nature(), PeerNature::Unknown);
  agreement.session_began(true, start);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(agreement.deadline(), start + i * 1s);
    EXPECT_EQ(agreement.take_due(start + i * 1s - 1ns), Due::Nothing);
    EXPECT_EQ(agreement.take_due(start + i * 1s), Due::Hello);
    EXPECT_EQ(agreement.take_due(start + i * 1s), Due::Nothing) << "once";
    EXPECT_EQ(agreement.nature(), PeerNature::Unknown);
  }
  EXPECT_EQ(agreement.take_due(start + 3s), Due::Silence);
  EXPECT_EQ(agreement.nature(), PeerNature::Stock);
  EXPECT_FALSE(agreement.deadline());
  EXPECT_FALSE(agreement.is_open());
}

TEST(Agreement, lets_the_initiator_speak_first) {
  Agreement agreement;
  agreement.session_began(false, start);
  EXPECT_EQ(agreement.take_due(start + 1s - 1ns), Due::Nothing);
  EXPECT_EQ(agreement.take_due(start + 1s), Due::Hello);
}

TEST(Agreement, asks_a_stock_peer_once_a_session) {
  Agreement agreement;
  EXPECT_EQ(pass_silent_session(agreement, start), 3U);
  EXPECT_EQ(pass_silent_session(agreement, start + 120s), 1U);
  EXPECT_EQ(agreement.nature(), PeerNature::Stock);
}

TEST(Agreement, stops_asking_when_it_hears) {
  Agreement agreement;
  agreement.session_began(true, start);
  EXPECT_EQ(agreement.take_due(start), Due::Hello);
  EXPECT_TRUE(agreement.heard(hello_of(DeviceMode::Routed, true)).is_first);
  EXPECT_FALSE(agreement.deadline());
  EXPECT_EQ(agreement.take_due(start + 1h), Due::Nothing);
  EXPECT_FALSE(agreement.heard(hello_of(DeviceMode::Routed, true)).is_first);
}

TEST(Agreement, answers_questions_and_no_answers_and_only_so_many) {
  Agreement agreement;
  agreement.session_began(false, start);
  EXPECT_FALSE(agreement.heard(hello_of(DeviceMode::Routed, true)).wants_answer);
  unsigned answered = 0;
  for (int i = 0; i < 1000; ++i) answered += agreement.heard(hello_of(DeviceMode::Routed)).wants_answer;
  EXPECT_EQ(answered, limits::hello_answers_max);
  agreement.session_began(false, start + 1s);
  EXPECT_TRUE(agreement.heard(hello_of(DeviceMode::Routed)).wants_answer) << "a new session";
}

TEST(Agreement, remembers_through_one_silent_session_and_not_through_two) {
  Agreement agreement;
  agreement.session_began(true, start);
  (void)agreement.heard(hello_of(DeviceMode::Switched));
  EXPECT_EQ(pass_silent_session(agreement, start + 120s), 3U);
  EXPECT_EQ(agreement.nature(), PeerNature::Culvert);
  EXPECT_TRUE(agreement.fits(DeviceMode::Switched));
  agreement.session_began(true, start + 240s);
  (void)agreement.heard(hello_of(DeviceMode::Switched));
  EXPECT_EQ(pass_silent_session(agreement, start + 360s), 3U);
  EXPECT_EQ(agreement.nature(), PeerNature::Culvert) << "silence counts in a row";
  EXPECT_EQ(pass_silent_session(agreement, start + 480s), 3U);
  EXPECT_EQ(agreement.nature(), PeerNature::Stock);
  EXPECT_FALSE(agreement.said());
  EXPECT_FALSE(agreement.fits(DeviceMode::Switched));
}

TEST(Agreement, fits_who_carries_the_same_and_in_routed_mode_who_says_nothing) {
  Agreement agreement;
  EXPECT_TRUE(agreement.fits(DeviceMode::Routed));
  EXPECT_FALSE(agreement.fits(DeviceMode::Switched));
  for (const DeviceMode theirs : {DeviceMode::Routed, DeviceMode::Switched}) {
    (void)agreement.heard(hello_of(theirs));
    for (const DeviceMode ours : {DeviceMode::Routed, DeviceMode::Switched}) {
      EXPECT_EQ(agreement.fits(ours), ours == theirs);
    }
  }
}

TEST(Agreement, has_nothing_due_without_a_session) {
  Agreement agreement;
  EXPECT_EQ(agreement.take_due(start), Due::Nothing);
  agreement.session_began(true, start);
  agreement.session_ended();
  EXPECT_FALSE(agreement.deadline());
  EXPECT_EQ(agreement.take_due(start + 1h), Due::Nothing);
}

constexpr std::size_t sealed_hello_size = hello_size + limits::data_overhead;

bool is_hello(const SentDatagram& datagram) {
  return datagram.bytes.size() == sealed_hello_size;
}

class InBandAgreement : public testing::Test {
 protected:
  /// As a stock WireGuard does: to each, the other's hellos are data that it can make nothing of.
  std::size_t exchange_without_hellos() {
    std::size_t lost = 0;
    for (bool is_over = false; !is_over;) {
      is_over = true;
      for (auto* const from : {&pair_.a, &pair_.b}) {
        EngineNode& to = from == &pair_.a ? pair_.b : pair_.a;
        for (const SentDatagram& datagram : from->out.take()) {
          if (is_hello(datagram)) {
            ++lost;
            auto& peer = const_cast<Peer&>(from == &pair_.a ? pair_.peer_at_b() : pair_.peer_at_a());
            peer.timers.any_authenticated_packet_received();
            peer.timers.data_received(pair_.now.time);
            continue;
          }
          is_over = false;
          to.receive(from->endpoint, datagram.bytes, pair_.now);
        }
      }
    }
    return lost;
  }

  /// Wakes both whenever they want it; all arrives, or all but hellos does. Returns how many hellos were lost.
  std::size_t pass_time(Timestamp::duration by, bool with_hellos = true) {
    std::size_t lost = 0;
    for (const Timestamp end = pair_.now.time + by; pair_.now.time < end;) {
      pair_.advance(100ms);
      pair_.a.engine.on_deadline(pair_.now, pair_.a.out);
      pair_.b.engine.on_deadline(pair_.now, pair_.b.out);
      if (with_hellos) {
        pair_.exchange();
      } else {
        lost += exchange_without_hellos();
      }
    }
    return lost;
  }

  /// `plaintext` under a's present session arrives at b.
  Bytes sealed_by_a(ByteView plaintext) {
    Session& session = const_cast<Session&>(*pair_.peer_at_a().sessions.current());
    Bytes datagram(Session::sealed_size(plaintext.size(), limits::default_mtu));
    session.seal(plaintext, datagram);
    return datagram;
  }
  void arrive_at_b(ByteView plaintext) { pair_.b.receive(pair_.a.endpoint, sealed_by_a(plaintext), pair_.now); }

  /// A new session that a begins.
  void rekey() {
    pair_.advance(200s);
    pair_.send(pair_.a, pair_.b);
    pair_.exchange();
  }

  static std::vector<EventKind> events_of(EngineNode& node) {
    std::vector<EventKind> kinds;
    while (const auto event = node.engine.poll_event()) kinds.push_back(event->kind);
    return kinds;
  }

  /// `plaintext` at b: counted as `reason`, and nothing else happens.
  void expect_ignored(ByteView plaintext, DropReason reason) {
    const std::uint64_t before = pair_.b.dropped(reason);
    const auto said = pair_.peer_at_b().agreement.said();
    arrive_at_b(plaintext);
    EXPECT_EQ(pair_.b.dropped(reason), before + 1) << to_string(reason);
    EXPECT_TRUE(pair_.b.out.take().empty());
    EXPECT_TRUE(pair_.b.frames.take().empty());
    EXPECT_EQ(pair_.peer_at_b().agreement.said(), said);
  }

  PeerPair pair_;
};

/// Ends whose cipher is left to agreement, or not.
class CipherAgreement : public InBandAgreement {
 protected:
  void SetUp() override {
    if (!is_usable(aes)) GTEST_SKIP() << "this machine cannot use AES-256-GCM";
  }
  void choose(CipherChoice at_a, CipherChoice at_b) {
    pair_.a.engine.set_cipher(at_a);
    pair_.b.engine.set_cipher(at_b);
  }
  CipherSuite suite_at_a() const { return pair_.peer_at_a().sessions.current()->suite(); }
  CipherSuite suite_at_b() const { return pair_.peer_at_b().sessions.current()->suite(); }
  /// A frame each way arrives; returns the types of the messages that carried them.
  std::vector<std::uint32_t> talk() {
    std::vector<std::uint32_t> types;
    for (auto* const from : {&pair_.a, &pair_.b}) {
      EngineNode& to = from == &pair_.a ? pair_.b : pair_.a;
      pair_.send(*from, to);
      for (const SentDatagram& datagram : from->out.sent) types.push_back(load<Le32>(datagram.bytes.data()));
      pair_.deliver(*from, to);
      EXPECT_EQ(to.frames.take().size(), 1U);
    }
    return types;
  }

  static constexpr auto chacha = CipherSuite::ChaCha20Poly1305;
  static constexpr auto aes = CipherSuite::Aes256Gcm;
  static constexpr auto automatic = CipherChoice::automatic();
};

TEST_F(CipherAgreement, is_on_aes_where_both_ends_leave_it_to_agreement) {
  choose(automatic, automatic);
  pair_.send(pair_.a, pair_.b);
  pair_.deliver(pair_.a, pair_.b);
  pair_.deliver(pair_.b, pair_.a);
  for (const SentDatagram& datagram : pair_.a.out.sent) {
    EXPECT_EQ(load<Le32>(datagram.bytes.data()), 4u) << "the session begins as WireGuard's do";
  }
  EXPECT_EQ(suite_at_a(), chacha);
  pair_.exchange();
  pair_.b.frames.take();
  EXPECT_EQ(suite_at_a(), aes);
  EXPECT_EQ(suite_at_b(), aes);
  EXPECT_THAT(talk(), testing::ElementsAre(0xc1u, 0xc1u));
  rekey();
  pair_.b.frames.take();
  EXPECT_THAT(talk(), testing::ElementsAre(0xc1u, 0xc1u)) << "each session agrees anew";
  EXPECT_EQ(pair_.a.dropped(DropReason::CipherMismatch) + pair_.b.dropped(DropReason::CipherMismatch), 0U);
}

TEST_F(CipherAgreement, stays_on_chacha_where_one_end_is_held_to_it) {
  for (const auto& [at_a, at_b] : {std::pair{automatic, CipherChoice(chacha)}, {CipherChoice(chacha), automatic}}) {
    choose(at_a, at_b);
    rekey();
    pair_.b.frames.take();
    EXPECT_THAT(talk(), testing::ElementsAre(4u, 4u));
    EXPECT_EQ(pair_.a.dropped(DropReason::CipherMismatch) + pair_.b.dropped(DropReason::CipherMismatch), 0U);
  }
}

TEST_F(CipherAgreement, stays_on_chacha_with_a_stock_peer) {
  choose(automatic, automatic);
  pair_.send(pair_.a, pair_.b);
  exchange_without_hellos();
  pass_time(10s, false);
  pair_.b.frames.take();
  EXPECT_THAT(talk(), testing::ElementsAre(4u, 4u));
}

TEST_F(CipherAgreement, needs_no_more_than_one_hello_to_arrive) {
  choose(automatic, automatic);
  pair_.send(pair_.a, pair_.b);
  pair_.deliver(pair_.a, pair_.b);
  pair_.deliver(pair_.b, pair_.a);
  pair_.deliver(pair_.a, pair_.b);
  EXPECT_EQ(pair_.b.out.take().size(), 1U) << "the answer, which is lost";
  pair_.b.frames.take();
  EXPECT_EQ(suite_at_a(), chacha);
  EXPECT_EQ(suite_at_b(), aes);
  EXPECT_THAT(talk(), testing::ElementsAre(4u, 0xc1u)) << "who heard both uses it, and who offered it understands";
}

TEST_F(CipherAgreement, seals_what_was_admitted_before_under_the_suite_of_then) {
  choose(automatic, automatic);
  pair_.send(pair_.a, pair_.b);
  pair_.deliver(pair_.a, pair_.b);
  pair_.deliver(pair_.b, pair_.a);
  const Bytes frame = pair_.frame(pair_.a, pair_.b);
  auto sealing = pair_.a.engine.admit(frame, 1, frame.size(), pair_.now);
  ASSERT_TRUE(sealing);
  pair_.exchange();
  pair_.b.frames.take();
  ASSERT_EQ(suite_at_a(), aes);
  ASSERT_TRUE(sealing->seal(frame, pair_.a.out));
  EXPECT_EQ(load<Le32>(pair_.a.out.sent.at(0).bytes.data()), 4u);
  pair_.deliver(pair_.a, pair_.b);
  EXPECT_EQ(pair_.b.frames.take().size(), 1U);
}

TEST_F(CipherAgreement, is_refused_with_an_end_that_is_set_to_aes_whoever_begins) {
  for (const bool a_is_fixed : {true, false}) {
    choose(a_is_fixed ? CipherChoice(aes) : automatic, a_is_fixed ? automatic : CipherChoice(aes));
    rekey();
    pass_time(30s);
    EXPECT_TRUE(pair_.b.frames.take().empty());
    EXPECT_GT(pair_.b.dropped(DropReason::CipherMismatch), 0U);
    EXPECT_THAT(events_of(pair_.b), testing::Contains(EventKind::CipherMismatch));
  }
}

TEST_F(CipherAgreement, cannot_be_talked_down_by_who_has_no_keys) {
  choose(automatic, automatic);
  pair_.handshake();
  ASSERT_EQ(suite_at_b(), aes);
  // The hello that says less, changed on the way from one that says more.
  const Bytes genuine = sealed_by_a(build_hello(hello_of(DeviceMode::Routed)));
  for (std::size_t bit = 0; bit < genuine.size() * 8; ++bit) {
    Bytes forged = genuine;
    forged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    pair_.b.receive(pair_.a.endpoint, forged, pair_.now);
    ASSERT_EQ(suite_at_b(), aes) << bit;
    ASSERT_TRUE(pair_.b.out.take().empty()) << bit;
  }
  EXPECT_EQ(pair_.b.dropped(DropReason::Replay), 0U);
}

TEST_F(InBandAgreement, takes_a_hello_and_an_answer) {
  pair_.send(pair_.a, pair_.b);
  pair_.deliver(pair_.a, pair_.b);
  pair_.deliver(pair_.b, pair_.a);
  ASSERT_EQ(pair_.a.out.sent.size(), 2U);
  EXPECT_FALSE(is_hello(pair_.a.out.sent[0])) << "the frame that waited";
  EXPECT_TRUE(is_hello(pair_.a.out.sent[1]));
  pair_.deliver(pair_.a, pair_.b);
  EXPECT_EQ(pair_.peer_at_b().agreement.nature(), PeerNature::Culvert);
  ASSERT_EQ(pair_.b.out.sent.size(), 1U);
  EXPECT_TRUE(is_hello(pair_.b.out.sent[0]));
  pair_.deliver(pair_.b, pair_.a);
  EXPECT_EQ(pair_.peer_at_a().agreement.nature(), PeerNature::Culvert);
  EXPECT_TRUE(pair_.a.out.sent.empty()) << "an answer is not answered";
  EXPECT_THAT(events_of(pair_.a), testing::Contains(EventKind::Agreed).Times(1));
  EXPECT_THAT(events_of(pair_.b), testing::Contains(EventKind::Agreed).Times(1));
}

TEST_F(InBandAgreement, says_what_was_set) {
  pair_.a.engine.set_features({Feature::Fragments, Feature::PathMtuProbes});
  pair_.a.engine.set_cipher(CipherSuite::None);
  pair_.b.engine.set_cipher(CipherSuite::None);
  pair_.handshake();
  const auto& said = pair_.peer_at_b().agreement.said();
  ASSERT_TRUE(said);
  EXPECT_EQ(said->mode, DeviceMode::Routed);
  EXPECT_EQ(said->features, (Features{Feature::Fragments, Feature::PathMtuProbes}));
  EXPECT_EQ(said->suites, SuiteSet{CipherSuite::None});
  EXPECT_EQ(said->largest_datagram, largest_datagram_max);
  EXPECT_FALSE(said->answers);
  EXPECT_TRUE(pair_.peer_at_a().agreement.said()->answers);
}

TEST_F(InBandAgreement, survives_the_loss_of_any_one_hello) {
  pair_.send(pair_.a, pair_.b);
  EXPECT_EQ(exchange_without_hellos(), 1U);
  pass_time(2s);
  EXPECT_EQ(pair_.peer_at_a().agreement.nature(), PeerNature::Culvert);
  EXPECT_EQ(pair_.peer_at_b().agreement.nature(), PeerNature::Culvert);
}

TEST_F(InBandAgreement, with_a_stock_peer_is_three_hellos_and_nothing_after) {
  pair_.send(pair_.a, pair_.b);
  std::size_t hellos = exchange_without_hellos();
  hellos += pass_time(500s, false);
  EXPECT_EQ(hellos, 6U) << "three from each side";
  EXPECT_EQ(pair_.peer_at_a().agreement.nature(), PeerNature::Stock);
  EXPECT_EQ(pair_.peer_at_b().agreement.nature(), PeerNature::Stock);
  EXPECT_THAT(events_of(pair_.a), testing::ElementsAre(EventKind::InitiationSent, EventKind::SessionEstablished))
      << "no other handshake";
  EXPECT_THAT(events_of(pair_.b), testing::Not(testing::Contains(EventKind::InitiationSent)));

  // Its next session has one.
  pair_.send(pair_.a, pair_.b);
  hellos = exchange_without_hellos();
  hellos += pass_time(100s, false);
  EXPECT_EQ(hellos, 2U);
  pair_.b.frames.take();
  pair_.send(pair_.b, pair_.a);
  exchange_without_hellos();
  EXPECT_EQ(pair_.a.frames.take().size(), 1U) << "frames flow";
}

TEST_F(InBandAgreement, arms_no_timer_of_the_session) {
  pair_.handshake();
  pair_.settle();
  // An hour in which the only traffic would be what timers ask for: nothing more after the agreement.
  pair_.a.out.take();
  pair_.b.out.take();
  const std::uint64_t sent = pair_.peer_at_a().sent_bytes + pair_.peer_at_b().sent_bytes;
  const std::array plaintext = build_hello(hello_of(DeviceMode::Routed, true));
  arrive_at_b(plaintext);
  pass_time(530s);
  EXPECT_EQ(pair_.peer_at_a().sent_bytes + pair_.peer_at_b().sent_bytes, sent);
}

TEST_F(InBandAgreement, says_nothing_without_a_session) {
  pair_.send(pair_.a, pair_.b);
  exchange_without_hellos();
  pair_.advance(limits::reject_after_time);
  pair_.a.engine.on_deadline(pair_.now, pair_.a.out);
  for (const SentDatagram& datagram : pair_.a.out.take()) EXPECT_NE(std::to_integer<int>(datagram.bytes[0]), 4);
}

TEST_F(InBandAgreement, hears_no_hello_that_is_cut_changed_or_repeated) {
  pair_.handshake();
  const std::array plaintext = build_hello(hello_of(DeviceMode::Switched));
  for (std::size_t size = envelope_header_size; size < envelope_header_size + sizeof(WireHello); ++size) {
    Bytes cut(plaintext.begin(), plaintext.end());
    cut[1] = static_cast<std::byte>(cut.size() - size);
    expect_ignored(cut, DropReason::BadEnvelope);
  }
  const Bytes sealed = sealed_by_a(plaintext);
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    Bytes forged = sealed;
    forged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    const EngineSnapshot before(pair_.b.engine);
    pair_.b.receive(pair_.a.endpoint, forged, pair_.now);
    ASSERT_TRUE(pair_.b.out.take().empty()) << bit;
    ASSERT_TRUE(EngineSnapshot(pair_.b.engine) == before) << bit;
  }
  pair_.b.receive(pair_.a.endpoint, sealed, pair_.now);
  EXPECT_EQ(pair_.b.out.take().size(), 1U);
  const EngineSnapshot before(pair_.b.engine);
  for (int i = 0; i < 10; ++i) pair_.b.receive(pair_.a.endpoint, sealed, pair_.now);
  EXPECT_EQ(pair_.b.dropped(DropReason::Replay), 10U);
  EXPECT_TRUE(pair_.b.out.take().empty());
  EXPECT_TRUE(EngineSnapshot(pair_.b.engine) == before);
}

TEST_F(InBandAgreement, envelopes_that_mean_nothing_are_counted) {
  pair_.handshake();
  pair_.settle();
  Bytes plaintext(32);
  for (unsigned kind = 0; kind < 16; ++kind) {
    if (kind >= 1 && kind <= 5) continue;
    plaintext[0] = static_cast<std::byte>(kind);
    expect_ignored(plaintext, DropReason::UnknownEnvelope);
  }
  plaintext[0] = static_cast<std::byte>(EnvelopeKind::Ethernet);
  expect_ignored(plaintext, DropReason::ModeMismatch);
  plaintext[1] = std::byte{16};
  expect_ignored(plaintext, DropReason::BadEnvelope);
}

TEST_F(InBandAgreement, a_storm_of_hellos_is_answered_a_few_times) {
  pair_.handshake();
  const std::array plaintext = build_hello(hello_of(DeviceMode::Routed));
  for (int i = 0; i < 1000; ++i) arrive_at_b(plaintext);
  EXPECT_LE(pair_.b.out.take().size(), limits::hello_answers_max);
  EXPECT_EQ(events_of(pair_.b).size(), 3U) << "endpoint, session and agreement, once";
}

TEST_F(InBandAgreement, a_later_version_is_heard_as_far_as_it_is_known) {
  pair_.handshake();
  HelloMessage later = hello_of(DeviceMode::Routed);
  later.features = Features(0x8000'0001);
  const std::array plaintext = build_hello(later);
  Bytes longer(plaintext.begin(), plaintext.end());
  longer[1] = std::byte{0};
  longer[envelope_header_size] = std::byte{7};
  longer.resize(64, std::byte{0xaa});
  arrive_at_b(longer);
  EXPECT_TRUE(pair_.peer_at_b().agreement.said()->features.has(Feature::Ethernet));
  longer[envelope_header_size] = std::byte{0};
  pair_.b.out.take();
  expect_ignored(longer, DropReason::BadEnvelope);
}

TEST_F(InBandAgreement, what_was_said_outlives_the_session_until_something_else_is_said) {
  pair_.a.engine.set_features({Feature::Fragments});
  pair_.handshake();
  pair_.advance(200s);
  pair_.a.engine.set_features({Feature::PathMtuProbes});
  pair_.send(pair_.a, pair_.b);
  pair_.deliver(pair_.a, pair_.b);
  pair_.deliver(pair_.b, pair_.a);
  EXPECT_TRUE(pair_.peer_at_b().agreement.said()->features.has(Feature::Fragments));
  pair_.exchange();
  EXPECT_FALSE(pair_.peer_at_b().agreement.said()->features.has(Feature::Fragments));
  EXPECT_TRUE(pair_.peer_at_b().agreement.said()->features.has(Feature::PathMtuProbes));
}

TEST_F(InBandAgreement, a_hello_of_the_session_before_says_nothing) {
  pair_.handshake();
  HelloMessage old = hello_of(DeviceMode::Switched);
  const Bytes late = sealed_by_a(build_hello(old));
  pair_.advance(121s);
  pair_.send(pair_.a, pair_.b);
  pair_.exchange();
  ASSERT_NE(pair_.peer_at_b().sessions.previous(), nullptr);
  pair_.b.receive(pair_.a.endpoint, late, pair_.now);
  EXPECT_EQ(pair_.peer_at_b().agreement.said()->mode, DeviceMode::Routed);
  EXPECT_TRUE(pair_.b.out.take().empty());
}

TEST_F(InBandAgreement, different_modes_are_told_at_both_ends_and_nothing_passes) {
  pair_.b.engine.set_mode(DeviceMode::Switched);
  pair_.send(pair_.a, pair_.b);
  pair_.exchange();
  EXPECT_THAT(events_of(pair_.a), testing::Contains(EventKind::ModeMismatch).Times(1));
  EXPECT_THAT(events_of(pair_.b), testing::Contains(EventKind::ModeMismatch).Times(1));
  EXPECT_TRUE(pair_.b.frames.take().empty());
  EXPECT_EQ(pair_.b.dropped(DropReason::ModeMismatch), 1U) << "what left before the hello came";

  pair_.send(pair_.a, pair_.b);
  EXPECT_TRUE(pair_.a.out.take().empty());
  EXPECT_EQ(pair_.a.dropped(DropReason::ModeMismatch), 1U);
  EXPECT_FALSE(pair_.a.engine.admit(pair_.frame(pair_.a, pair_.b), 1, 100, pair_.now));
  pass_time(60s);
  EXPECT_THAT(events_of(pair_.a), testing::IsEmpty()) << "no handshake follows from it";
}

TEST_F(InBandAgreement, frames_that_wait_for_a_peer_of_another_mode_are_dropped_when_it_says_so) {
  pair_.b.engine.set_mode(DeviceMode::Switched);
  pair_.handshake();
  pair_.advance(200s);
  for (int i = 0; i < 3; ++i) pair_.send(pair_.a, pair_.b);
  EXPECT_EQ(pair_.peer_at_a().staged.size(), 3U) << "it may say something else in the new session";
  pair_.exchange();
  EXPECT_TRUE(pair_.peer_at_a().staged.empty());
  EXPECT_EQ(pair_.a.dropped(DropReason::ModeMismatch), 3U);
}

TEST_F(InBandAgreement, a_peer_that_changed_its_mode_is_spoken_to_again) {
  pair_.b.engine.set_mode(DeviceMode::Switched);
  pair_.handshake();
  pair_.b.engine.set_mode(DeviceMode::Routed);
  rekey();
  EXPECT_EQ(pair_.b.frames.take().size(), 1U);
  EXPECT_TRUE(pair_.peer_at_a().agreement.fits(DeviceMode::Routed));
}

TEST_F(InBandAgreement, another_mode_ends_sessions_and_the_present_one_does_not) {
  pair_.handshake();
  const EngineSnapshot before(pair_.a.engine);
  pair_.a.engine.set_mode(DeviceMode::Routed);
  EXPECT_TRUE(EngineSnapshot(pair_.a.engine) == before);
  pair_.a.engine.set_mode(DeviceMode::Switched);
  EXPECT_EQ(pair_.a.engine.mode(), DeviceMode::Switched);
  EXPECT_EQ(pair_.peer_at_a().sessions.current(), nullptr);
}

TEST_F(InBandAgreement, a_switched_device_that_hears_nothing_says_so) {
  pair_.b.engine.set_mode(DeviceMode::Switched);
  pair_.send(pair_.a, pair_.b);
  exchange_without_hellos();
  pass_time(10s, false);
  EXPECT_EQ(pair_.peer_at_b().agreement.nature(), PeerNature::Stock);
  EXPECT_THAT(events_of(pair_.b), testing::Contains(EventKind::ModeMismatch).Times(1));
  EXPECT_THAT(events_of(pair_.a), testing::Not(testing::Contains(EventKind::ModeMismatch)));
}

}  // namespace
}  // namespace culvert
