// What the path carries between two engines: probes, errors to inner senders, and frames in pieces.
#include "culvert/protocol/path_mtu.hpp"

#include <gtest/gtest.h>

#include "culvert/protocol/fragment.hpp"
#include "support/ethernet_frames.hpp"
#include "support/peer_pair.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using State = PathMtu::State;

constexpr std::size_t overhead_v4 = 28 + limits::data_overhead;

/// Two engines on a path that silently loses what is too large for it.
class PathBetweenEngines : public testing::Test {
 protected:
  PathBetweenEngines() {
    for (EngineNode* node : {&pair.a, &pair.b}) {
      node->engine.set_features({Feature::Fragments, Feature::PathMtuProbes});
    }
  }

  void move(EngineNode& from, EngineNode& to) {
    for (const SentDatagram& datagram : from.out.take()) {
      largest = std::max(largest, datagram.bytes.size() * !datagram.is_probe);
      probes += datagram.is_probe;
      if (datagram.bytes.size() + 28 > carried) continue;
      to.receive(from.endpoint, datagram.bytes, pair.now, to_mark);
    }
  }
  /// Time passes, with a small frame from a to b every 10 ms, or none.
  void run_for(Timestamp::duration time, bool has_data = true) {
    for (Timestamp::duration passed{0}; passed < time; passed += 10ms) {
      pair.advance(10ms);
      if (has_data) pair.a.engine.on_frame(small, pair.now, pair.a.out);
      for (EngineNode* node : {&pair.a, &pair.b}) node->engine.on_deadline(pair.now, node->out);
      for (int i = 0; i < 4; ++i) {
        move(pair.a, pair.b);
        move(pair.b, pair.a);
      }
    }
    pair.b.frames.take();
    pair.a.frames.take();
  }
  void find() {
    pair.a.engine.on_frame(small, pair.now, pair.a.out);
    pair.exchange();
    run_for(15s);
    ASSERT_EQ(state(), State::Found);
    largest = 0;
    probes = 0;
  }
  /// Sends one frame; what arrives.
  std::vector<Bytes> sent(const Bytes& frame) {
    pair.a.engine.on_frame(frame, pair.now, pair.a.out);
    move(pair.a, pair.b);
    return pair.b.frames.take();
  }
  [[nodiscard]] Bytes packet(std::size_t size, bool dont_fragment = true) const {
    Bytes bytes = pair.frame(pair.a, pair.b, size);
    store<Be16>(&bytes[6], dont_fragment ? std::uint16_t{0x4000} : std::uint16_t{0});
    store<Be16>(&bytes[10], std::uint16_t{0});
    store<Be16>(&bytes[10], PacketBuilder::checksum(ByteView(bytes).first(20)));
    return bytes;
  }
  [[nodiscard]] State state() const { return pair.peer_at_a().path_mtu.state(); }
  [[nodiscard]] std::size_t path_mtu() const { return pair.peer_at_a().path_mtu.size() + 28; }
  /// Puts an envelope of b's into a session with a.
  void inject(ByteView plaintext) {
    Session* session = const_cast<Peer&>(pair.peer_at_b()).sessions.current();
    Bytes datagram(Session::sealed_size(plaintext.size(), plaintext.size()));
    session->seal(plaintext, datagram);
    pair.a.receive(pair.b.endpoint, datagram, pair.now);
  }

  PeerPair pair{1, 1500};
  Bytes small = pair.frame(pair.a, pair.b);
  std::size_t carried = 1500;
  std::size_t largest = 0;
  std::size_t probes = 0;
  std::uint8_t to_mark = 0;
};

TEST_F(PathBetweenEngines, is_probed_once_both_said_that_they_answer) {
  pair.handshake();
  EXPECT_EQ(state(), State::Assumed);
  EXPECT_EQ(path_mtu(), 1500U);
  run_for(1s);
  EXPECT_EQ(state(), State::Found);
  EXPECT_EQ(path_mtu(), 1500U);
}

TEST_F(PathBetweenEngines, is_not_probed_for_a_peer_that_does_not_answer_probes) {
  pair.b.engine.set_features({});
  pair.handshake();
  run_for(20s);
  EXPECT_EQ(state(), State::Off);
  EXPECT_EQ(probes, 0U);
  // And its frames are left to IP, as ever.
  EXPECT_EQ(sent(packet(1500)).size(), 0U);
  EXPECT_EQ(largest, 1500U + limits::data_overhead);
  EXPECT_TRUE(pair.a.engine.take_answer().empty());
}

TEST_F(PathBetweenEngines, is_found_to_the_byte) {
  for (const std::size_t size : {1280U, 1281U, 1400U, 1492U, 1499U}) {
    carried = size;
    pair.a.engine.set_endpoint(pair.b_at_a, {pair.b.endpoint.address, static_cast<std::uint16_t>(size)});
    find();
    EXPECT_EQ(path_mtu(), size);
  }
}

TEST_F(PathBetweenEngines, begins_with_what_the_route_carries) {
  carried = 9000;
  pair.a.engine.set_route_mtu(pair.b_at_a, 9000, pair.now);
  pair.handshake();
  EXPECT_EQ(path_mtu(), 9000U);
  run_for(1s);
  EXPECT_EQ(state(), State::Found);
  pair.a.engine.set_route_mtu(pair.b_at_a, 1400, pair.now);
  EXPECT_EQ(path_mtu(), 1400U);
}

TEST_F(PathBetweenEngines, asks_for_the_route_when_a_peer_is_known_and_when_it_moved) {
  const auto questions = [this] {
    int count = 0;
    while (const auto event = pair.a.engine.poll_event()) count += event->kind == EventKind::RouteWanted;
    return count;
  };
  pair.handshake();
  EXPECT_EQ(questions(), 1);
  run_for(1s);
  EXPECT_EQ(questions(), 0);
  pair.a.engine.set_endpoint(pair.b_at_a, {pair.b.endpoint.address, 7});
  EXPECT_EQ(questions(), 1);
  pair.a.engine.set_endpoint(pair.b_at_a, {pair.b.endpoint.address, 7});
  EXPECT_EQ(questions(), 0);
}

TEST_F(PathBetweenEngines, is_unknown_again_when_the_peer_turns_up_elsewhere) {
  carried = 1400;
  find();
  pair.send(pair.b, pair.a);
  for (const SentDatagram& datagram : pair.b.out.take()) {
    pair.a.receive(*Endpoint::parse("198.51.100.1:1"), datagram.bytes, pair.now);
  }
  EXPECT_EQ(state(), State::Assumed);
}

TEST_F(PathBetweenEngines, an_idle_tunnel_stays_silent) {
  pair.handshake();
  run_for(1s);
  run_for(30s, false);
  probes = 0;
  largest = 0;
  run_for(600s, false);
  EXPECT_EQ(probes, 0U);
  EXPECT_EQ(largest, 0U);
}

TEST_F(PathBetweenEngines, data_never_exceed_what_was_found_whatever_their_size) {
  carried = 1400;
  find();
  for (std::size_t size = 28; size <= 1500; ++size) sent(packet(size, false));
  EXPECT_EQ(largest + 28, 1400U);
}

TEST_F(PathBetweenEngines, tells_the_sender_of_a_packet_that_is_too_large_what_fits) {
  carried = 1400;
  find();
  const std::size_t fits = 1400 - overhead_v4;
  EXPECT_EQ(sent(packet(fits)).size(), 1U);
  EXPECT_TRUE(pair.a.engine.take_answer().empty());
  EXPECT_TRUE(sent(packet(fits + 1)).empty());
  EXPECT_EQ(pair.a.dropped(DropReason::PacketTooBig), 1U);
  const ByteSpan answer = pair.a.engine.take_answer();
  ASSERT_GE(answer.size(), 28U);
  EXPECT_EQ(answer[20], std::byte{3});
  EXPECT_EQ(load<Be16>(&answer[26]), fits);
  EXPECT_TRUE(pair.a.engine.take_answer().empty());
}

TEST_F(PathBetweenEngines, tells_senders_no_more_often_than_they_need) {
  carried = 1400;
  find();
  int told = 0;
  for (int i = 0; i < 1000; ++i) {
    sent(packet(1500));
    told += !pair.a.engine.take_answer().empty();
  }
  EXPECT_EQ(told, 50);
  EXPECT_EQ(pair.a.dropped(DropReason::PacketTooBig), 1000U);
}

TEST_F(PathBetweenEngines, admits_no_run_of_frames_that_are_too_large_and_says_how_large_they_may_be) {
  carried = 1400;
  find();
  const Bytes large = packet(1400);
  EXPECT_FALSE(pair.a.engine.admit(large, 3, 4200, pair.now));
  const std::size_t fits = pair.a.engine.largest_frame(large, pair.now);
  EXPECT_EQ(fits, 1400 - overhead_v4);
  EXPECT_TRUE(pair.a.engine.admit(packet(fits), 3, 3 * fits, pair.now));
}

TEST_F(PathBetweenEngines, a_packet_that_may_be_fragmented_goes_in_pieces) {
  carried = 1400;
  find();
  for (std::size_t size = 1400 - overhead_v4 + 1; size <= 1500; ++size) {
    const Bytes frame = packet(size, false);
    ASSERT_EQ(sent(frame), std::vector<Bytes>{frame});
  }
  EXPECT_LE(largest + 28, 1400U);
  EXPECT_TRUE(pair.a.engine.take_answer().empty());
}

TEST_F(PathBetweenEngines, while_it_is_searched_nobody_is_told_and_large_packets_go_in_pieces) {
  pair.handshake();
  run_for(1s);
  carried = 1280;
  const Timestamp began = pair.now.time;
  while (path_mtu() != 1280 && pair.now.time - began < 10s) {
    sent(packet(1400));
    run_for(10ms);
  }
  EXPECT_LE(pair.now.time - began, 2200ms);
  ASSERT_EQ(state(), State::Searching);
  const Bytes frame = packet(1400);
  EXPECT_EQ(sent(frame), std::vector<Bytes>{frame});
  EXPECT_TRUE(pair.a.engine.take_answer().empty());
  EXPECT_EQ(pair.a.dropped(DropReason::PacketTooBig), 0U);
}

TEST_F(PathBetweenEngines, small_frames_lose_nothing_when_it_falls) {
  find();
  carried = 1280;
  for (int i = 0; i < 500; ++i) {
    sent(packet(1400));
    EXPECT_EQ(sent(packet(100)).size(), 1U);
    run_for(10ms);
  }
  EXPECT_EQ(path_mtu(), 1280U);
}

TEST_F(PathBetweenEngines, a_frame_larger_than_pieces_can_make_is_left_to_ip) {
  pair.a.engine.set_mtu(65535);
  carried = 1400;
  find();
  sent(packet(limits::fragmented_frame_max, false));
  EXPECT_LE(largest + 28, 1400U);
  sent(packet(limits::fragmented_frame_max + 1, false));
  EXPECT_EQ(largest, limits::fragmented_frame_max + 1 + limits::data_overhead);
}

TEST_F(PathBetweenEngines, a_peer_that_takes_no_pieces_gets_none) {
  pair.b.engine.set_features({Feature::PathMtuProbes});
  carried = 1400;
  find();
  sent(packet(1500, false));
  EXPECT_EQ(largest, 1500 + limits::data_overhead);
}

TEST_F(PathBetweenEngines, a_packet_in_pieces_must_come_from_the_peer_as_any_other) {
  carried = 1400;
  find();
  Bytes frame = PacketBuilder{*Address::parse("10.0.0.99"), pair.b.inner}.udp_of_size(1500);
  EXPECT_TRUE(sent(frame).empty());
  EXPECT_EQ(pair.b.dropped(DropReason::SourceNotAllowed), 1U);
}

TEST_F(PathBetweenEngines, congestion_of_a_piece_is_that_of_the_packet) {
  carried = 1400;
  find();
  Bytes frame = packet(1500, false);
  frame[1] = std::byte{2};
  store<Be16>(&frame[10], std::uint16_t{0});
  store<Be16>(&frame[10], PacketBuilder::checksum(ByteView(frame).first(20)));
  to_mark = 3;
  const std::vector<Bytes> arrived = sent(frame);
  ASSERT_EQ(arrived.size(), 1U);
  EXPECT_EQ(arrived[0][1], std::byte{3});
}

TEST_F(PathBetweenEngines, frames_that_waited_for_a_session_are_bound_by_it_as_well) {
  carried = 1400;
  find();
  pair.advance(limits::reject_after_time);
  sent(packet(1500));
  for (int i = 0; i < 4; ++i) {
    move(pair.a, pair.b);
    move(pair.b, pair.a);
  }
  EXPECT_EQ(pair.a.dropped(DropReason::PacketTooBig), 1U);
  EXPECT_LE(largest + 28, 1400U);
}

TEST_F(PathBetweenEngines, an_answer_to_a_probe_is_no_larger_than_it_and_says_its_size) {
  find();
  std::array<std::byte, path_probe_size_min> probe;
  write_probe(probe, 5);
  inject(probe);
  const auto answers = pair.a.out.take();
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].bytes.size(), probe.size() + limits::data_overhead);
  EXPECT_FALSE(answers[0].is_probe);
  inject(ByteView(probe).first(probe.size() - 1));
  EXPECT_TRUE(pair.a.out.take().empty());
  EXPECT_EQ(pair.a.dropped(DropReason::BadProbe), 1U);
}

TEST_F(PathBetweenEngines, answers_few_probes_however_many_come) {
  find();
  std::array<std::byte, path_probe_size_min> probe;
  write_probe(probe, 5);
  for (int i = 0; i < 100; ++i) inject(probe);
  EXPECT_EQ(pair.a.out.take().size(), 32U);
  EXPECT_EQ(pair.a.dropped(DropReason::ProbeFlood), 68U);
}

TEST_F(PathBetweenEngines, an_answer_to_no_probe_is_counted) {
  find();
  ProbeAck ack;
  ack.id = 1000;
  ack.size = std::uint16_t{9000};
  inject(build_probe_ack(ack));
  EXPECT_EQ(pair.a.dropped(DropReason::BadProbe), 1U);
  EXPECT_EQ(path_mtu(), 1500U);
}

TEST_F(PathBetweenEngines, pieces_that_cannot_be_are_counted) {
  find();
  Bytes piece(fragment_overhead + 100);
  write_envelope_header(piece.data(), EnvelopeKind::Fragment, 0);
  write_fragment_header(&piece[envelope_header_size], 1, 0, 50);
  inject(piece);
  EXPECT_EQ(pair.a.dropped(DropReason::BadFragment), 1U);
  write_fragment_header(&piece[envelope_header_size], 1, 0, 200);
  inject(piece);
  inject(piece);
  EXPECT_EQ(pair.a.dropped(DropReason::FragmentOverlap), 1U);
  pair.advance(limits::reassembly_time);
  write_fragment_header(&piece[envelope_header_size], 2, 0, 200);
  inject(piece);
  EXPECT_EQ(pair.a.dropped(DropReason::FragmentExpired), 1U);
  pair.a.engine.remove_peer(pair.b_at_a);
  EXPECT_EQ(pair.a.dropped(DropReason::FragmentExpired), 2U);
}

TEST_F(PathBetweenEngines, what_was_not_offered_is_not_known) {
  pair.a.engine.set_features({});
  pair.handshake();
  std::array<std::byte, path_probe_size_min> probe;
  write_probe(probe, 5);
  inject(probe);
  Bytes piece(fragment_overhead + 100);
  write_envelope_header(piece.data(), EnvelopeKind::Fragment, 0);
  write_fragment_header(&piece[envelope_header_size], 1, 0, 100);
  inject(piece);
  EXPECT_EQ(pair.a.dropped(DropReason::UnknownEnvelope), 2U);
  EXPECT_TRUE(pair.a.out.take().empty());
}

/// Frames of 1500 bytes and their headers, as on any LAN.
class PathForEthernet : public PathBetweenEngines {
 protected:
  PathForEthernet() {
    for (EngineNode* node : {&pair.a, &pair.b}) node->engine.set_mode(DeviceMode::Switched);
    small = frame(100);
  }
  [[nodiscard]] static Bytes frame(std::size_t payload) {
    return FrameBuilder{
        .destination = MacAddress(0x020000000002), .source = MacAddress(0x020000000001), .payload_size = payload}
        .frame();
  }
  /// Makes b's station known at a.
  void answer() {
    const Bytes back =
        FrameBuilder{.destination = MacAddress(0x020000000001), .source = MacAddress(0x020000000002)}.frame();
    pair.b.engine.on_frame(back, pair.now, pair.b.out);
    move(pair.b, pair.a);
  }
};

TEST_F(PathForEthernet, frames_too_large_for_it_cross_in_pieces) {
  carried = 1280;
  find();
  EXPECT_EQ(path_mtu(), 1280U);
  // To a station that is not known yet, and then to one that is.
  EXPECT_EQ(sent(frame(1500)), std::vector<Bytes>{frame(1500)});
  answer();
  for (std::size_t payload = 46; payload <= 1500; ++payload) {
    ASSERT_EQ(sent(frame(payload)), std::vector<Bytes>{frame(payload)}) << payload;
  }
  EXPECT_EQ(largest + 28, 1280U);
  EXPECT_TRUE(pair.a.engine.take_answer().empty());
}

TEST_F(PathForEthernet, admits_no_run_of_frames_that_are_too_large_and_says_how_large_they_may_be) {
  carried = 1400;
  find();
  answer();
  const std::size_t fits = 1400 - overhead_v4 - envelope_header_size;
  const Bytes large = frame(fits - 14 + 1);
  EXPECT_FALSE(pair.a.engine.admit(large, 3, 3 * large.size(), pair.now));
  EXPECT_EQ(pair.a.engine.largest_frame(large, pair.now), fits);
  EXPECT_TRUE(pair.a.engine.admit(frame(fits - 14), 3, 3 * fits, pair.now));
}

TEST_F(PathForEthernet, frames_that_waited_for_a_session_cross_in_pieces_as_well) {
  carried = 1400;
  find();
  pair.advance(limits::reject_after_time);
  pair.a.engine.on_frame(frame(1500), pair.now, pair.a.out);
  for (int i = 0; i < 4; ++i) {
    move(pair.a, pair.b);
    move(pair.b, pair.a);
  }
  EXPECT_EQ(pair.b.frames.take(), std::vector<Bytes>{frame(1500)});
  EXPECT_LE(largest + 28, 1400U);
}

/// IPv6 inside, over IPv4.
class PathForIpv6 : public PathBetweenEngines {
 protected:
  PathForIpv6() {
    pair.a.engine.add_allowed_ip(pair.b_at_a, *Prefix::parse("fd00::2/128"));
    pair.b.engine.add_allowed_ip(pair.a_at_b, *Prefix::parse("fd00::1/128"));
  }
  static Bytes packet_v6(std::size_t size) {
    return PacketBuilder{*Address::parse("fd00::1"), *Address::parse("fd00::2")}.udp_of_size(size);
  }
};

TEST_F(PathForIpv6, tells_the_sender_what_fits) {
  carried = 1400;
  find();
  EXPECT_TRUE(sent(packet_v6(1400 - overhead_v4 + 1)).empty());
  const ByteSpan answer = pair.a.engine.take_answer();
  ASSERT_GE(answer.size(), 48U);
  EXPECT_EQ(answer[40], std::byte{2});
  EXPECT_EQ(load<Be32>(&answer[44]), 1400 - overhead_v4);
}

TEST_F(PathForIpv6, what_every_host_may_send_goes_in_pieces) {
  carried = 1280;
  find();
  EXPECT_EQ(sent(packet_v6(1280)).size(), 1U);
  EXPECT_TRUE(pair.a.engine.take_answer().empty());
  EXPECT_TRUE(sent(packet_v6(1281)).empty());
  const ByteSpan answer = pair.a.engine.take_answer();
  ASSERT_GE(answer.size(), 48U);
  EXPECT_EQ(load<Be32>(&answer[44]), 1280U);
}

}  // namespace
}  // namespace culvert
