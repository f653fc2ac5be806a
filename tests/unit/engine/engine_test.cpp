// The engine's settings, deadlines and what it tells.
#include "culvert/engine/engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/engine_snapshot.hpp"
#include "support/peer_pair.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

std::vector<Event> events_of(Engine& engine) {
  std::vector<Event> events;
  while (const auto event = engine.poll_event()) events.push_back(*event);
  return events;
}

bool has_event(Engine& engine, EventKind kind) {
  bool found = false;
  while (const auto event = engine.poll_event()) found = found || event->kind == kind;
  return found;
}

/// Lets time pass for one engine, waking it exactly when it asks to be.
void pass_time(EngineNode& node, Now& now, Timestamp::duration by) {
  const Timestamp end = now.time + by;
  while (node.engine.next_deadline() && *node.engine.next_deadline() <= end) {
    const auto step = std::max(*node.engine.next_deadline() - now.time, Timestamp::duration(0));
    now.time += step;
    now.wall += step;
    node.engine.on_deadline(now, node.out);
  }
  now.wall += end - now.time;
  now.time = end;
}

SecretKey some_key(std::uint64_t seed) {
  SeededRandom random(seed);
  return generate_secret_key(random);
}

PresharedKey some_psk(std::byte fill) {
  PresharedKey psk;
  std::fill(psk.writable_bytes().begin(), psk.writable_bytes().end(), fill);
  return psk;
}

class EngineTest : public testing::Test {
 protected:
  PeerPair pair_;
};

TEST_F(EngineTest, does_nothing_before_it_has_a_private_key) {
  SeededRandom random(7);
  Engine engine(random, 1420);
  EXPECT_EQ(engine.identity(), nullptr);
  const PeerId id = engine.ensure_peer(pair_.a.public_key)->id;
  engine.add_allowed_ip(id, {pair_.a.inner, 32});
  engine.set_endpoint(id, pair_.a.endpoint);
  engine.set_persistent_keepalive(id, 1s, pair_.now);

  RecordingDatagramSink out;
  RecordingFrameSink frames;
  pair_.send(pair_.a, pair_.b);
  Bytes initiation = pair_.a.out.take().at(0).bytes;
  for (int i = 0; i < 20; ++i) {
    engine.on_frame(pair_.frame(pair_.b, pair_.a), pair_.now, out);
    engine.on_datagram(Path{pair_.a.endpoint, {}, 0}, 0, initiation, pair_.now, frames, out);
    engine.on_deadline(pair_.now, out);
    pair_.advance(1s);
  }
  EXPECT_TRUE(out.sent.empty());
  EXPECT_TRUE(frames.frames.empty());
  EXPECT_EQ(engine.peers().index_count(), 0U);
  EXPECT_EQ(engine.drops()[DropReason::InvalidMac1], 20U);
}

TEST_F(EngineTest, frames_that_came_before_the_private_key_leave_after_it) {
  EngineNode late(8, 1420, *Endpoint::parse("192.0.2.3:1003"), *Address::parse("10.0.0.3"));
  const SecretKey key = late.engine.identity()->secret.clone();
  late.engine.set_private_key(SecretKey());
  late.add_peer(pair_.b);
  const PeerId id = pair_.b.add_peer(late);
  pair_.send(late, pair_.b);
  EXPECT_TRUE(late.out.sent.empty());
  late.engine.set_private_key(key.clone());
  pair_.send(late, pair_.b);
  while (pair_.deliver(late, pair_.b) + pair_.deliver(pair_.b, late) > 0) {
  }
  EXPECT_EQ(pair_.b.frames.take().size(), 2U);
  EXPECT_NE(pair_.b.engine.find_peer(id)->sessions.current(), nullptr);
}

TEST_F(EngineTest, a_zero_private_key_at_the_start_is_no_identity) {
  SeededRandom random(7);
  Engine engine(random, 1420);
  engine.set_private_key(SecretKey());
  EXPECT_EQ(engine.identity(), nullptr);
}

TEST_F(EngineTest, taking_the_private_key_away_silences_it) {
  pair_.handshake();
  pair_.b.engine.set_private_key(SecretKey());
  EXPECT_EQ(pair_.b.engine.identity(), nullptr);
  EXPECT_EQ(pair_.b.engine.peers().index_count(), 0U);
  EXPECT_EQ(pair_.b.engine.peers().size(), 1U);

  pair_.send(pair_.a, pair_.b);
  pair_.deliver(pair_.a, pair_.b);
  EXPECT_TRUE(pair_.b.frames.take().empty());
  EXPECT_EQ(pair_.b.dropped(DropReason::UnknownIndex), 1U);

  pair_.advance(6s);
  pair_.send(pair_.b, pair_.a);
  pass_time(pair_.b, pair_.now, 20s);
  EXPECT_TRUE(pair_.b.out.take().empty());

  // A key that is the scalar zero would clamp to still has its public key, which must not be answered either.
  pair_.a.engine.on_deadline(pair_.now, pair_.a.out);
  pair_.deliver(pair_.a, pair_.b);
  EXPECT_TRUE(pair_.b.out.take().empty());
}

TEST_F(EngineTest, our_own_key_is_no_peer) {
  EXPECT_EQ(pair_.a.engine.ensure_peer(pair_.a.public_key), nullptr);
  EXPECT_EQ(pair_.a.engine.peers().size(), 1U);
}

TEST_F(EngineTest, a_peer_is_made_once) {
  EXPECT_EQ(pair_.a.engine.ensure_peer(pair_.b.public_key)->id, pair_.b_at_a);
  EXPECT_EQ(pair_.a.engine.find_peer(pair_.b.public_key)->id, pair_.b_at_a);
  EXPECT_EQ(pair_.a.engine.find_peer(pair_.a.public_key), nullptr);
}

TEST_F(EngineTest, setting_the_present_private_key_keeps_sessions) {
  pair_.handshake();
  const EngineSnapshot before(pair_.a.engine);
  pair_.a.engine.set_private_key(pair_.a.engine.identity()->secret.clone());
  EXPECT_EQ(EngineSnapshot(pair_.a.engine), before);
}

TEST_F(EngineTest, another_private_key_ends_all_sessions_and_handshakes) {
  pair_.handshake();
  EXPECT_EQ(pair_.peer_at_a().handshake.state(), HandshakeState::Zeroed);
  pair_.advance(6s);
  const_cast<Session*>(pair_.peer_at_a().sessions.current())->set_sending_counter(limits::reject_after_messages);
  pair_.send(pair_.a, pair_.b);
  EXPECT_EQ(pair_.peer_at_a().handshake.state(), HandshakeState::CreatedInitiation);

  pair_.a.engine.set_private_key(some_key(99));
  EXPECT_EQ(pair_.a.engine.peers().index_count(), 0U);
  EXPECT_EQ(pair_.peer_at_a().handshake.state(), HandshakeState::Zeroed);
  EXPECT_EQ(pair_.peer_at_a().sessions.current(), nullptr);
  EXPECT_EQ(pair_.peer_at_a().sessions.previous(), nullptr);
  EXPECT_EQ(pair_.peer_at_a().sessions.next(), nullptr);
}

TEST_F(EngineTest, after_a_change_of_key_a_handshake_starts_without_delay) {
  pair_.handshake();
  pair_.a.engine.set_private_key(some_key(99));
  const PeerId renamed = pair_.b.engine.ensure_peer(pair_.a.engine.identity()->public_key)->id;
  pair_.b.engine.add_allowed_ip(renamed, {pair_.a.inner, 32});
  pair_.send(pair_.a, pair_.b);
  pair_.exchange();
  EXPECT_EQ(pair_.b.frames.take().size(), 1U);
}

TEST_F(EngineTest, persistent_keepalives_survive_a_change_of_key) {
  pair_.handshake();
  pair_.settle();
  pair_.a.engine.set_persistent_keepalive(pair_.b_at_a, 25s, pair_.now);
  pass_time(pair_.a, pair_.now, 1s);
  pair_.exchange();
  pair_.a.engine.set_private_key(some_key(99));
  pass_time(pair_.a, pair_.now, 26s);
  EXPECT_FALSE(pair_.a.out.take().empty());
}

TEST_F(EngineTest, the_peer_that_has_our_new_key_is_removed) {
  const SecretKey future = some_key(99);
  const PeerId id = pair_.a.engine.ensure_peer(public_key_of(future))->id;
  pair_.a.engine.add_allowed_ip(id, *Prefix::parse("10.9.0.0/16"));
  pair_.a.engine.set_private_key(future.clone());
  EXPECT_EQ(pair_.a.engine.find_peer(public_key_of(future)), nullptr);
  EXPECT_EQ(pair_.a.engine.find_peer(id), nullptr);
  EXPECT_EQ(pair_.a.engine.prefixes().size(), 1U);
  EXPECT_NE(pair_.a.engine.find_peer(pair_.b_at_a), nullptr);
}

TEST_F(EngineTest, a_removed_peer_leaves_nothing_behind) {
  pair_.handshake();
  pair_.a.engine.remove_peer(pair_.b_at_a);
  const Engine& engine = pair_.a.engine;
  EXPECT_EQ(engine.peers().size(), 0U);
  EXPECT_EQ(engine.peers().index_count(), 0U);
  EXPECT_EQ(engine.prefixes().size(), 0U);
  EXPECT_FALSE(engine.next_deadline());
  EXPECT_EQ(engine.find_peer(pair_.b.public_key), nullptr);

  pair_.send(pair_.b, pair_.a);
  pair_.deliver(pair_.b, pair_.a);
  EXPECT_TRUE(pair_.a.frames.take().empty());
  EXPECT_EQ(pair_.a.dropped(DropReason::UnknownIndex), 1U);
}

TEST_F(EngineTest, removing_a_peer_counts_its_waiting_frames_and_ends_its_handshake) {
  pair_.send(pair_.a, pair_.b);
  pair_.send(pair_.a, pair_.b);
  EXPECT_EQ(pair_.a.engine.peers().index_count(), 1U);
  pair_.a.engine.remove_peer(pair_.b_at_a);
  EXPECT_EQ(pair_.a.dropped(DropReason::StagedExpired), 2U);
  EXPECT_EQ(pair_.a.engine.peers().index_count(), 0U);
  EXPECT_FALSE(pair_.a.engine.next_deadline());
}

TEST_F(EngineTest, settings_of_an_unknown_peer_change_nothing) {
  Engine& engine = pair_.a.engine;
  const EngineSnapshot before(engine);
  const PeerId nobody(17);
  engine.remove_peer(nobody);
  engine.set_preshared_key(nobody, some_psk(std::byte{1}));
  engine.set_endpoint(nobody, pair_.b.endpoint);
  engine.probe_endpoint(nobody, pair_.b.endpoint, pair_.now);
  engine.set_persistent_keepalive(nobody, 1s, pair_.now);
  engine.remove_allowed_ip(nobody, {pair_.b.inner, 32});
  engine.clear_allowed_ips(nobody);
  EXPECT_EQ(EngineSnapshot(engine), before);
}

TEST_F(EngineTest, an_allowed_ip_moves_to_whoever_gets_it_last) {
  const PeerId other = pair_.a.engine.ensure_peer(public_key_of(some_key(5)))->id;
  pair_.a.engine.add_allowed_ip(other, {pair_.b.inner, 32});
  EXPECT_EQ(pair_.a.engine.prefixes().find(pair_.b.inner), other);
  pair_.a.engine.remove_allowed_ip(pair_.b_at_a, {pair_.b.inner, 32});
  EXPECT_EQ(pair_.a.engine.prefixes().find(pair_.b.inner), other);
  pair_.a.engine.clear_allowed_ips(other);
  EXPECT_EQ(pair_.a.engine.prefixes().find(pair_.b.inner), std::nullopt);
}

TEST_F(EngineTest, a_new_preshared_key_keeps_the_session_and_counts_at_the_next_handshake) {
  pair_.handshake();
  pair_.a.engine.set_preshared_key(pair_.b_at_a, some_psk(std::byte{1}));
  const std::size_t indices = pair_.a.engine.peers().index_count();
  for (int i = 0; i < 100; ++i) {
    pair_.send(pair_.a, pair_.b);
    pair_.send(pair_.b, pair_.a);
    pair_.exchange();
  }
  EXPECT_EQ(pair_.b.frames.take().size(), 100U);
  EXPECT_EQ(pair_.a.frames.take().size(), 100U);
  EXPECT_EQ(pair_.a.engine.peers().index_count(), indices);

  // The sides differ: the next handshake fails where the key counts, at the initiator.
  pair_.advance(180s);
  pair_.send(pair_.a, pair_.b);
  pair_.exchange();
  EXPECT_TRUE(pair_.b.frames.take().empty());
  EXPECT_EQ(pair_.a.dropped(DropReason::HandshakeAuthentication), 1U);

  pair_.b.engine.set_preshared_key(pair_.a_at_b, some_psk(std::byte{1}));
  pass_time(pair_.a, pair_.now, 6s);
  pair_.exchange();
  EXPECT_EQ(pair_.b.frames.take().size(), 1U);
}

TEST_F(EngineTest, setting_an_endpoint_replaces_the_one_learnt) {
  pair_.handshake();
  const Endpoint elsewhere = *Endpoint::parse("[2001:db8::7]:7");
  pair_.a.engine.set_endpoint(pair_.b_at_a, elsewhere);
  pair_.send(pair_.a, pair_.b);
  EXPECT_EQ(pair_.a.out.take().at(0).path, (Path{elsewhere, {}, 0}));
}

TEST_F(EngineTest, probing_begins_a_handshake_with_the_candidate_while_data_stays_on_the_path) {
  pair_.handshake();
  pair_.advance(10s);
  const Endpoint elsewhere = *Endpoint::parse("192.0.2.7:7");
  pair_.a.engine.probe_endpoint(pair_.b_at_a, elsewhere, pair_.now);
  pass_time(pair_.a, pair_.now, 0s);
  const auto probe = pair_.a.out.take();
  ASSERT_EQ(probe.size(), 1U);
  EXPECT_EQ(probe[0].path, (Path{elsewhere, {}, 0}));
  EXPECT_EQ(probe[0].bytes.size(), 148U);
  pair_.send(pair_.a, pair_.b);
  EXPECT_EQ(pair_.a.out.take().at(0).path.remote, pair_.b.endpoint);

  pair_.b.receive(pair_.a.endpoint, probe[0].bytes, pair_.now);
  const auto response = pair_.b.out.take();
  ASSERT_EQ(response.size(), 1U);
  pair_.a.receive(elsewhere, response[0].bytes, pair_.now);
  EXPECT_EQ(pair_.peer_at_a().path->remote, elsewhere);
  EXPECT_EQ(pair_.a.out.take().at(0).path.remote, elsewhere);
}

TEST_F(EngineTest, a_probe_nobody_answers_is_followed_by_an_initiation_along_the_path) {
  pair_.handshake();
  pair_.settle();
  const Endpoint elsewhere = *Endpoint::parse("192.0.2.7:7");
  pair_.a.engine.probe_endpoint(pair_.b_at_a, elsewhere, pair_.now);
  pass_time(pair_.a, pair_.now, 6s);
  const auto sent = pair_.a.out.take();
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[0].path.remote, elsewhere);
  EXPECT_EQ(sent[1].path.remote, pair_.b.endpoint);
  EXPECT_EQ(pair_.peer_at_a().path->remote, pair_.b.endpoint);
}

TEST_F(EngineTest, a_probe_keeps_the_pause_between_handshakes) {
  pair_.handshake();
  pair_.a.out.take();
  pair_.a.engine.probe_endpoint(pair_.b_at_a, *Endpoint::parse("192.0.2.7:7"), pair_.now);
  pass_time(pair_.a, pair_.now, 5s - 1ns);
  EXPECT_TRUE(pair_.a.out.take().empty());
  pass_time(pair_.a, pair_.now, 334ms);
  const auto sent = pair_.a.out.take();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].path.remote, *Endpoint::parse("192.0.2.7:7"));
}

TEST_F(EngineTest, without_a_session_the_candidate_gets_the_next_initiation_and_no_other) {
  const Endpoint elsewhere = *Endpoint::parse("192.0.2.7:7");
  pair_.a.engine.probe_endpoint(pair_.b_at_a, elsewhere, pair_.now);
  pass_time(pair_.a, pair_.now, 60s);
  EXPECT_TRUE(pair_.a.out.take().empty());
  pair_.send(pair_.a, pair_.b);
  EXPECT_EQ(pair_.a.out.take().at(0).path.remote, elsewhere);
  pass_time(pair_.a, pair_.now, 6s);
  EXPECT_EQ(pair_.a.out.take().at(0).path.remote, pair_.b.endpoint);
}

TEST_F(EngineTest, a_candidate_is_forgotten_when_the_peer_answers_or_turns_up_elsewhere_or_is_set) {
  const Endpoint candidate = *Endpoint::parse("192.0.2.7:7");
  const auto probe = [&] { pair_.a.engine.probe_endpoint(pair_.b_at_a, candidate, pair_.now); };
  pair_.send(pair_.a, pair_.b);
  probe();
  pair_.exchange();
  EXPECT_FALSE(pair_.peer_at_a().candidate);

  probe();
  pair_.send(pair_.b, pair_.a);
  pair_.a.receive(*Endpoint::parse("192.0.2.8:8"), pair_.b.out.take().at(0).bytes, pair_.now);
  EXPECT_FALSE(pair_.peer_at_a().candidate);
  pass_time(pair_.a, pair_.now, 0s);
  EXPECT_TRUE(pair_.a.out.take().empty());

  probe();
  pair_.a.engine.set_endpoint(pair_.b_at_a, pair_.b.endpoint);
  EXPECT_FALSE(pair_.peer_at_a().candidate);
}

TEST_F(EngineTest, probing_sets_the_path_of_a_peer_that_has_none) {
  pair_.b.engine.probe_endpoint(pair_.a_at_b, pair_.a.endpoint, pair_.now);
  EXPECT_EQ(pair_.peer_at_b().path, (Path{pair_.a.endpoint, {}, 0}));
  EXPECT_FALSE(pair_.peer_at_b().candidate);
}

TEST_F(EngineTest, switching_a_persistent_keepalive_on_sends_one_at_once_and_then_one_per_interval) {
  pair_.handshake();
  pair_.settle();
  pair_.a.engine.set_persistent_keepalive(pair_.b_at_a, 25s, pair_.now);
  pass_time(pair_.a, pair_.now, 0s);
  ASSERT_EQ(pair_.a.out.sent.size(), 1U);
  EXPECT_EQ(pair_.a.out.take()[0].bytes.size(), 32U);

  pass_time(pair_.a, pair_.now, 25s - 1ns);
  EXPECT_EQ(pair_.a.out.take().size(), 0U);
  pass_time(pair_.a, pair_.now, 1ns);
  EXPECT_EQ(pair_.a.out.take().size(), 1U);
  pass_time(pair_.a, pair_.now, 50s);
  EXPECT_EQ(pair_.a.out.take().size(), 2U);
}

TEST_F(EngineTest, freeing_all_sources_tells_those_who_have_a_session_and_calls_nobody_else) {
  Engine& engine = pair_.a.engine;
  engine.free_sources(pair_.now);
  pass_time(pair_.a, pair_.now, 0s);
  EXPECT_EQ(pair_.a.out.take().size(), 0U);

  pair_.handshake();
  pair_.settle();
  pair_.b.engine.set_persistent_keepalive(pair_.a_at_b, 25s, pair_.now);
  pass_time(pair_.b, pair_.now, 0s);
  Bytes heard = pair_.b.out.take().at(0).bytes;
  engine.on_datagram({pair_.b.endpoint, *Address::parse("192.0.2.77"), 4}, 0, heard, pair_.now, pair_.a.frames,
                     pair_.a.out);
  engine.free_sources(pair_.now);
  pass_time(pair_.a, pair_.now, 0s);
  const auto sent = pair_.a.out.take();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].bytes.size(), 32U);
  EXPECT_EQ(sent[0].path.remote, pair_.b.endpoint);
  EXPECT_EQ(sent[0].path.local, std::nullopt);
}

TEST_F(EngineTest, changing_or_stopping_a_persistent_keepalive_sends_nothing_at_once) {
  pair_.handshake();
  pair_.settle();
  pair_.a.engine.set_persistent_keepalive(pair_.b_at_a, 25s, pair_.now);
  pass_time(pair_.a, pair_.now, 0s);
  pair_.a.out.take();
  pair_.a.engine.set_persistent_keepalive(pair_.b_at_a, 10s, pair_.now);
  pass_time(pair_.a, pair_.now, 0s);
  EXPECT_EQ(pair_.a.out.take().size(), 0U);
  pair_.a.engine.set_persistent_keepalive(pair_.b_at_a, 0s, pair_.now);
  pass_time(pair_.a, pair_.now, 100s);
  EXPECT_EQ(pair_.a.out.take().size(), 0U);
}

TEST_F(EngineTest, setting_the_same_interval_again_keeps_the_keepalive_that_is_owed) {
  pair_.handshake();
  pair_.settle();
  pair_.a.engine.set_persistent_keepalive(pair_.b_at_a, 25s, pair_.now);
  pair_.a.engine.set_persistent_keepalive(pair_.b_at_a, 25s, pair_.now);
  pass_time(pair_.a, pair_.now, 0s);
  EXPECT_EQ(pair_.a.out.take().size(), 1U);
}

TEST_F(EngineTest, persistent_keepalives_go_on_after_one_found_no_room) {
  pair_.handshake();
  pair_.settle();
  pair_.a.engine.set_persistent_keepalive(pair_.b_at_a, 25s, pair_.now);
  pass_time(pair_.a, pair_.now, 0s);
  pair_.a.out.take();
  pair_.a.out.is_full = true;
  pass_time(pair_.a, pair_.now, 25s);
  EXPECT_EQ(pair_.a.dropped(DropReason::BatchFull), 1U);
  pair_.a.out.is_full = false;
  pass_time(pair_.a, pair_.now, 25s);
  EXPECT_EQ(pair_.a.out.take().size(), 1U);
}

TEST_F(EngineTest, persistent_keepalives_begin_when_an_endpoint_is_set_later) {
  const PeerId a_at_b = pair_.a_at_b;
  pair_.b.engine.set_persistent_keepalive(a_at_b, 25s, pair_.now);
  pass_time(pair_.b, pair_.now, 60s);
  EXPECT_TRUE(pair_.b.out.take().empty());
  pair_.b.engine.set_endpoint(a_at_b, pair_.a.endpoint);
  pass_time(pair_.b, pair_.now, 25s);
  EXPECT_FALSE(pair_.b.out.take().empty());
}

TEST_F(EngineTest, a_persistent_keepalive_without_a_session_begins_a_handshake) {
  pair_.a.engine.set_persistent_keepalive(pair_.b_at_a, 25s, pair_.now);
  pass_time(pair_.a, pair_.now, 0s);
  ASSERT_EQ(pair_.a.out.sent.size(), 1U);
  EXPECT_EQ(pair_.a.out.sent[0].bytes.size(), 148U);
  pair_.exchange();
  EXPECT_NE(pair_.peer_at_a().sessions.current(), nullptr);
}

TEST_F(EngineTest, tells_of_a_handshake_on_both_sides) {
  pair_.handshake();
  EXPECT_THAT(events_of(pair_.a.engine),
              ElementsAre(Event{EventKind::InitiationSent, pair_.b_at_a},
                          Event{EventKind::SessionEstablished, pair_.b_at_a}, Event{EventKind::Agreed, pair_.b_at_a}));
  EXPECT_THAT(events_of(pair_.b.engine),
              ElementsAre(Event{EventKind::EndpointMoved, pair_.a_at_b},
                          Event{EventKind::SessionEstablished, pair_.a_at_b}, Event{EventKind::Agreed, pair_.a_at_b}));
  EXPECT_EQ(pair_.peer_at_a().last_handshake, pair_.now.wall);
  EXPECT_EQ(pair_.peer_at_b().last_handshake, pair_.now.wall);
}

TEST_F(EngineTest, repeats_an_unanswered_initiation_and_forgets_the_local_address_it_came_from) {
  const_cast<Peer&>(pair_.peer_at_a()).path->local = *Address::parse("192.0.2.1");
  pair_.send(pair_.a, pair_.b);
  EXPECT_TRUE(pair_.a.out.take().at(0).path.local);
  pass_time(pair_.a, pair_.now, 5s - 1ns);
  EXPECT_TRUE(pair_.a.out.take().empty());
  pass_time(pair_.a, pair_.now, 334ms);
  ASSERT_EQ(pair_.a.out.sent.size(), 1U);
  EXPECT_EQ(pair_.a.out.sent[0].bytes.size(), 148U);
  EXPECT_FALSE(pair_.a.out.take()[0].path.local);
  EXPECT_TRUE(has_event(pair_.a.engine, EventKind::HandshakeUnanswered));
}

TEST_F(EngineTest, a_link_that_is_down_accepts_nothing_and_sends_nothing_by_itself) {
  pair_.a.engine.set_persistent_keepalive(pair_.b_at_a, 25s, pair_.now);
  pair_.handshake();
  pair_.settle();
  pair_.a.engine.set_link_up(false, pair_.now);
  const std::uint64_t received = pair_.peer_at_a().received_bytes;
  pair_.send(pair_.b, pair_.a);
  pair_.deliver(pair_.b, pair_.a);
  EXPECT_TRUE(pair_.a.frames.take().empty());
  EXPECT_EQ(pair_.peer_at_a().received_bytes, received);
  EXPECT_EQ(pair_.a.dropped(DropReason::LinkDown), 1U);
  pass_time(pair_.a, pair_.now, 120s);
  pass_time(pair_.b, pair_.now, 20s);
  const std::size_t initiations = pair_.deliver(pair_.b, pair_.a);
  EXPECT_NE(initiations, 0U) << "of a peer that has had no answer";
  pass_time(pair_.a, pair_.now, 600s);
  EXPECT_TRUE(pair_.a.out.take().empty());
  EXPECT_EQ(pair_.a.dropped(DropReason::LinkDown), 1 + initiations);
  EXPECT_EQ(pair_.peer_at_a().sessions.current(), nullptr) << "keys grow old all the same";
}

TEST_F(EngineTest, a_session_that_is_found_before_the_link_goes_down_delivers_nothing) {
  pair_.handshake();
  pair_.settle();
  pair_.send(pair_.b, pair_.a);
  std::vector<SentDatagram> sent = pair_.b.out.take();
  const Verdict<Message> message = parse_message(sent.at(0).bytes);
  const auto& data = std::get<MessageData>(*message);
  const std::shared_ptr<Session> session = pair_.a.engine.find_session(data.receiver);
  const Verdict<ByteSpan> opened = session->decrypt(data, pair_.now.time);
  pair_.a.engine.set_link_up(false, pair_.now);
  EXPECT_TRUE(
      pair_.a.engine.accept(*session, data, opened, Path{pair_.b.endpoint, {}, 0}, 0, pair_.now, pair_.a.out).empty());
  EXPECT_EQ(pair_.a.dropped(DropReason::LinkDown), 1U);
}

TEST_F(EngineTest, a_link_that_comes_up_lets_peers_know) {
  pair_.handshake();
  pair_.settle();
  pair_.a.engine.set_link_up(false, pair_.now);
  pass_time(pair_.a, pair_.now, 20s);
  EXPECT_TRUE(pair_.a.out.take().empty());
  pair_.a.engine.set_link_up(true, pair_.now);
  pair_.a.engine.on_deadline(pair_.now, pair_.a.out);
  EXPECT_EQ(pair_.a.out.sent.at(0).bytes.size(), 32U) << "a keepalive in the session there is";
  pair_.exchange();
  pair_.send(pair_.b, pair_.a);
  pair_.deliver(pair_.b, pair_.a);
  EXPECT_EQ(pair_.a.frames.take().size(), 1U);
}

TEST_F(EngineTest, a_persistent_keepalive_waits_for_the_link_and_begins_a_handshake_then) {
  pair_.a.engine.set_link_up(false, pair_.now);
  pair_.a.engine.set_persistent_keepalive(pair_.b_at_a, 25s, pair_.now);
  pass_time(pair_.a, pair_.now, 60s);
  EXPECT_TRUE(pair_.a.out.take().empty());
  pair_.a.engine.set_link_up(true, pair_.now);
  pair_.a.engine.on_deadline(pair_.now, pair_.a.out);
  ASSERT_EQ(pair_.a.out.sent.size(), 1U);
  EXPECT_EQ(pair_.a.out.sent[0].bytes.size(), 148U);
}

TEST_F(EngineTest, what_waits_for_a_session_does_not_outlive_the_link) {
  pair_.send(pair_.a, pair_.b);
  pair_.a.out.take();
  pair_.a.engine.set_link_up(false, pair_.now);
  EXPECT_TRUE(pair_.peer_at_a().staged.empty());
  EXPECT_EQ(pair_.a.dropped(DropReason::LinkDown), 1U);
  pair_.a.engine.set_link_up(false, pair_.now);
  EXPECT_EQ(pair_.a.dropped(DropReason::LinkDown), 1U);
}

TEST_F(EngineTest, gives_up_after_twenty_initiations_and_drops_what_waited) {
  pair_.send(pair_.a, pair_.b);
  pair_.send(pair_.a, pair_.b);
  const Timestamp start = pair_.now.time;
  pass_time(pair_.a, pair_.now, 300s);
  EXPECT_EQ(pair_.a.out.take().size(), 20U);
  EXPECT_EQ(pair_.a.dropped(DropReason::StagedExpired), 2U);
  EXPECT_TRUE(pair_.peer_at_a().staged.empty());
  EXPECT_TRUE(has_event(pair_.a.engine, EventKind::HandshakeAbandoned));
  // What the handshake left is wiped later.
  EXPECT_NE(pair_.peer_at_a().handshake.state(), HandshakeState::Zeroed);
  pass_time(pair_.a, pair_.now, start + 110s + limits::zero_keys_time - pair_.now.time);
  EXPECT_EQ(pair_.peer_at_a().handshake.state(), HandshakeState::Zeroed);
  EXPECT_EQ(pair_.a.engine.peers().index_count(), 0U);
  EXPECT_FALSE(pair_.a.engine.next_deadline());
}

TEST_F(EngineTest, a_retry_held_back_by_our_own_response_is_not_forgotten) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    PeerPair pair(seed);
    pair.send(pair.a, pair.b);
    pair.a.out.take();
    pair.b.engine.set_endpoint(pair.a_at_b, pair.a.endpoint);
    pair.send(pair.b, pair.a);
    pair.advance(600ms);
    pair.deliver(pair.b, pair.a);
    EXPECT_EQ(pair.a.out.take().at(0).bytes.size(), 92U);
    // The response is lost and b is gone. The retry was due before rekey_timeout has passed since the response.
    pass_time(pair.a, pair.now, 5s);
    EXPECT_EQ(pair.a.out.take().size(), 0U);
    pass_time(pair.a, pair.now, 333ms);
    ASSERT_EQ(pair.a.out.sent.size(), 1U);
    EXPECT_EQ(pair.a.out.take()[0].bytes.size(), 148U);
  }
}

TEST_F(EngineTest, a_frame_staged_while_initiations_are_held_back_gets_one_later) {
  // b answers an initiation, the answer is lost, and a is gone: b's own frame must still lead to an initiation.
  pair_.send(pair_.a, pair_.b);
  pair_.deliver(pair_.a, pair_.b);
  pair_.b.out.take();
  pair_.send(pair_.b, pair_.a);
  EXPECT_TRUE(pair_.b.out.take().empty());
  pass_time(pair_.b, pair_.now, 6s);
  ASSERT_EQ(pair_.b.out.sent.size(), 1U);
  EXPECT_EQ(pair_.b.out.sent[0].bytes.size(), 148U);
}

TEST_F(EngineTest, data_that_nothing_answers_begins_a_handshake_after_fifteen_seconds) {
  pair_.handshake();
  pair_.send(pair_.a, pair_.b);
  pair_.a.out.take();
  pass_time(pair_.a, pair_.now, 15s - 1ns);
  EXPECT_TRUE(pair_.a.out.take().empty());
  pass_time(pair_.a, pair_.now, 334ms);
  ASSERT_EQ(pair_.a.out.sent.size(), 1U);
  EXPECT_EQ(pair_.a.out.sent[0].bytes.size(), 148U);
}

TEST_F(EngineTest, data_received_is_answered_with_a_keepalive_after_ten_seconds_of_silence) {
  pair_.handshake();
  pair_.send(pair_.a, pair_.b);
  pair_.exchange();
  pass_time(pair_.b, pair_.now, 10s - 1ns);
  EXPECT_TRUE(pair_.b.out.take().empty());
  pass_time(pair_.b, pair_.now, 1ns);
  ASSERT_EQ(pair_.b.out.sent.size(), 1U);
  EXPECT_EQ(pair_.b.out.sent[0].bytes.size(), 32U);
}

TEST_F(EngineTest, all_keys_are_gone_nine_minutes_after_the_last_session) {
  pair_.handshake();
  pass_time(pair_.a, pair_.now, 540s - 1ns);
  EXPECT_NE(pair_.peer_at_a().sessions.current(), nullptr);
  pass_time(pair_.a, pair_.now, 1ns);
  EXPECT_EQ(pair_.peer_at_a().sessions.current(), nullptr);
  EXPECT_EQ(pair_.peer_at_a().sessions.previous(), nullptr);
  EXPECT_EQ(pair_.peer_at_a().sessions.next(), nullptr);
  EXPECT_EQ(pair_.peer_at_a().handshake.state(), HandshakeState::Zeroed);
  EXPECT_EQ(pair_.a.engine.peers().index_count(), 0U);
  EXPECT_TRUE(has_event(pair_.a.engine, EventKind::KeysExpired));
}

TEST_F(EngineTest, expiry_that_comes_late_leaves_a_handshake_alone_that_was_just_begun) {
  pair_.handshake();
  pair_.advance(3600s);
  pair_.send(pair_.a, pair_.b);
  pair_.a.engine.on_deadline(pair_.now, pair_.a.out);
  EXPECT_EQ(pair_.peer_at_a().sessions.current(), nullptr);
  pair_.exchange();
  EXPECT_EQ(pair_.b.frames.take().size(), 1U);
}

TEST_F(EngineTest, expiry_also_wipes_what_an_old_handshake_left) {
  pair_.handshake();
  pair_.advance(180s);
  pair_.send(pair_.a, pair_.b);
  const_cast<Peer&>(pair_.peer_at_a()).timers.handshake_complete();
  EXPECT_EQ(pair_.peer_at_a().handshake.state(), HandshakeState::CreatedInitiation);
  pass_time(pair_.a, pair_.now, 360s);
  EXPECT_EQ(pair_.peer_at_a().handshake.state(), HandshakeState::Zeroed);
  EXPECT_EQ(pair_.a.engine.peers().index_count(), 0U);
}

TEST_F(EngineTest, timestamps_continue_above_those_of_an_earlier_life) {
  const Tai64n future = Tai64n::from(pair_.now.wall + 24h);
  pair_.a.engine.restore_timestamp(future);
  EXPECT_EQ(pair_.a.engine.last_timestamp(), future);
  pair_.send(pair_.a, pair_.b);
  EXPECT_GT(pair_.a.engine.last_timestamp(), future);
  pair_.exchange();
  EXPECT_EQ(pair_.b.frames.take().size(), 1U);
}

TEST_F(EngineTest, counts_packets_that_died_outside) {
  pair_.a.engine.count_drop(DropReason::SocketError, 3);
  EXPECT_EQ(pair_.a.dropped(DropReason::SocketError), 3U);
}

TEST_F(EngineTest, a_peer_with_a_low_order_key_gets_no_packet_and_no_session) {
  // The points of small order on Curve25519 and its twist, canonical and not (Bernstein, "Curve25519", FAQ).
  const char* const low_order[] = {"0100000000000000000000000000000000000000000000000000000000000000",
                                   "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                                   "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                                   "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                   "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                   "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                   "0000000000000000000000000000000000000000000000000000000000000000"};
  for (const char* hex : low_order) {
    SCOPED_TRACE(hex);
    std::array<std::byte, key_size> bytes{};
    ASSERT_TRUE(key_from_hex(hex, bytes));
    Peer* peer = pair_.a.engine.ensure_peer(PublicKey(bytes));
    ASSERT_NE(peer, nullptr);
    pair_.a.engine.set_endpoint(peer->id, pair_.b.endpoint);
    pair_.a.engine.add_allowed_ip(peer->id, *Prefix::parse("10.66.0.0/16"));
    pair_.a.engine.set_persistent_keepalive(peer->id, 5s, pair_.now);
    const std::size_t indices = pair_.a.engine.peers().index_count();
    for (int i = 0; i < 20; ++i) {
      pair_.a.engine.on_frame(PacketBuilder{pair_.a.inner, *Address::parse("10.66.0.1")}.udp_of_size(60), pair_.now,
                              pair_.a.out);
      pass_time(pair_.a, pair_.now, 6s);
    }
    EXPECT_TRUE(pair_.a.out.take().empty());
    EXPECT_EQ(pair_.a.engine.peers().index_count(), indices);
    EXPECT_EQ(peer->sessions.current(), nullptr);
    pair_.a.engine.remove_peer(peer->id);
  }
}

TEST_F(EngineTest, another_cipher_ends_sessions_and_the_present_one_does_not) {
  pair_.handshake();
  pair_.a.engine.set_cipher(CipherSuite::ChaCha20Poly1305);
  EXPECT_NE(pair_.peer_at_a().sessions.current(), nullptr);
  pair_.a.engine.set_cipher(CipherSuite::None);
  EXPECT_EQ(pair_.a.engine.cipher(), CipherSuite::None);
  EXPECT_EQ(pair_.peer_at_a().sessions.current(), nullptr);
  EXPECT_EQ(pair_.a.engine.peers().index_count(), 0U);
}

TEST_F(EngineTest, a_change_without_a_cipher_keeps_it) {
  DeviceChange change;
  change.cipher = CipherSuite::None;
  pair_.a.engine.apply(std::move(change), pair_.now);
  EXPECT_EQ(pair_.a.engine.cipher(), CipherSuite::None);
  pair_.a.engine.apply(DeviceChange(), pair_.now);
  EXPECT_EQ(pair_.a.engine.cipher(), CipherSuite::None);
}

/// A data message of `type` that names the session of `session` and is made without its keys.
Bytes forged_data(const Session& session, std::uint32_t type) {
  Bytes datagram(64);
  store<Le32>(datagram.data(), type);
  store<Le32>(&datagram[4], session.local_index().value());
  return datagram;
}

TEST_F(EngineTest, data_of_any_suite_without_its_keys_changes_nothing_and_accuses_nobody) {
  pair_.handshake();
  pair_.settle();
  while (pair_.b.engine.poll_event()) {
  }
  const EngineSnapshot before(pair_.b.engine);
  for (const std::uint32_t type : {4U, 0xc1U, 0xc2U}) {
    for (int i = 0; i < 3; ++i) {
      const Bytes datagram = forged_data(*pair_.peer_at_b().sessions.current(), type);
      pair_.b.receive(*Endpoint::parse("203.0.113.9:9"), datagram, pair_.now);
      EXPECT_TRUE(EngineSnapshot(pair_.b.engine) == before) << type;
    }
  }
  EXPECT_EQ(pair_.b.dropped(DropReason::CipherMismatch) + pair_.b.dropped(DropReason::DataAuthentication), 9U);
  EXPECT_TRUE(pair_.b.frames.take().empty());
  EXPECT_FALSE(pair_.b.engine.has_events());
}

TEST_F(EngineTest, data_of_another_suite_is_told_of_while_a_session_has_opened_nothing) {
  pair_.send(pair_.a, pair_.b);
  pair_.deliver(pair_.a, pair_.b);
  while (pair_.b.engine.poll_event()) {
  }
  const EngineSnapshot before(pair_.b.engine);
  for (int i = 0; i < 3; ++i) {
    pair_.b.receive(pair_.a.endpoint, forged_data(*pair_.peer_at_b().sessions.next(), 0xc1), pair_.now);
  }
  EXPECT_TRUE(EngineSnapshot(pair_.b.engine) == before);
  EXPECT_EQ(pair_.b.dropped(DropReason::CipherMismatch), 3U);
  const auto event = pair_.b.engine.poll_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, EventKind::CipherMismatch);
  EXPECT_FALSE(pair_.b.engine.poll_event()) << "what anybody can make must not push out other events";
}

}  // namespace
}  // namespace culvert
