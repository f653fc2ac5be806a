// From frame to datagram.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/engine_snapshot.hpp"
#include "support/peer_pair.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

bool contains(ByteView haystack, ByteView needle) {
  return !std::ranges::search(haystack, needle).empty();
}

class Outbound : public testing::Test {
 protected:
  Session& session_of_a() { return const_cast<Session&>(*pair_.peer_at_a().sessions.current()); }

  /// What `a` says to a frame.
  std::vector<SentDatagram> answer(ByteView frame) {
    pair_.a.engine.on_frame(frame, pair_.now, pair_.a.out);
    return pair_.a.out.take();
  }

  PeerPair pair_;
};

TEST_F(Outbound, refuses_what_is_no_ip_packet) {
  pair_.handshake();
  Bytes too_long = pair_.frame(pair_.a, pair_.b);
  store<Be16>(&too_long[2], std::uint16_t{101});
  Bytes wrong_version = pair_.frame(pair_.a, pair_.b);
  wrong_version[0] = std::byte{0x55};
  for (const Bytes& frame : {Bytes(), Bytes(19, std::byte{0x45}), too_long, wrong_version}) {
    EXPECT_TRUE(answer(frame).empty());
  }
  EXPECT_EQ(pair_.a.dropped(DropReason::FrameHeader), 4U);
}

TEST_F(Outbound, refuses_a_frame_that_no_datagram_can_carry) {
  pair_.handshake();
  EXPECT_EQ(answer(pair_.frame(pair_.a, pair_.b, 65507 - 32 - 16)).size(), 1U);
  EXPECT_TRUE(answer(pair_.frame(pair_.a, pair_.b, 65507 - 32 - 15)).empty());
  EXPECT_EQ(pair_.a.dropped(DropReason::FrameTooLarge), 1U);
}

TEST_F(Outbound, refuses_a_destination_of_nobody) {
  EXPECT_TRUE(answer(PacketBuilder{pair_.a.inner, *Address::parse("10.0.0.3")}.udp_of_size(60)).empty());
  EXPECT_TRUE(answer(PacketBuilder{*Address::parse("::1"), *Address::parse("fd00::1")}.udp_of_size(60)).empty());
  EXPECT_EQ(pair_.a.dropped(DropReason::NoPeer), 2U);
}

TEST_F(Outbound, refuses_a_peer_whose_place_is_unknown) {
  pair_.send(pair_.b, pair_.a);
  EXPECT_TRUE(pair_.b.out.take().empty());
  EXPECT_EQ(pair_.b.dropped(DropReason::NoEndpoint), 1U);
  EXPECT_TRUE(pair_.peer_at_b().staged.empty());
}

TEST_F(Outbound, the_first_frame_begins_a_handshake) {
  const auto sent = answer(pair_.frame(pair_.a, pair_.b));
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].bytes.size(), 148U);
  EXPECT_EQ(sent[0].traffic_class, 0x88);
  EXPECT_EQ(sent[0].path, (Path{pair_.b.endpoint, {}, 0}));
}

TEST_F(Outbound, initiations_keep_their_distance) {
  EXPECT_EQ(answer(pair_.frame(pair_.a, pair_.b)).size(), 1U);
  pair_.advance(5s - 1ns);
  EXPECT_EQ(answer(pair_.frame(pair_.a, pair_.b)).size(), 0U);
  pair_.advance(1ns);
  EXPECT_EQ(answer(pair_.frame(pair_.a, pair_.b)).size(), 1U);
}

TEST_F(Outbound, a_superseded_initiation_leaves_no_index) {
  for (int i = 0; i < 10; ++i) {
    answer(pair_.frame(pair_.a, pair_.b));
    EXPECT_EQ(pair_.a.engine.peers().index_count(), 1U);
    pair_.advance(5s);
  }
}

TEST_F(Outbound, waiting_frames_follow_the_handshake_in_order) {
  std::vector<Bytes> frames;
  for (std::size_t size = 60; size < 80; ++size) {
    frames.push_back(pair_.frame(pair_.a, pair_.b, size));
    pair_.a.engine.on_frame(frames.back(), pair_.now, pair_.a.out);
  }
  pair_.exchange();
  EXPECT_EQ(pair_.b.frames.take(), frames);
  EXPECT_TRUE(pair_.peer_at_a().staged.empty());
}

TEST_F(Outbound, the_oldest_of_too_many_waiting_frames_go) {
  for (std::size_t size = 60; size < 60 + 130; ++size) pair_.send(pair_.a, pair_.b, size);
  EXPECT_EQ(pair_.a.dropped(DropReason::StagedOverflow), 2U);
  pair_.exchange();
  const auto frames = pair_.b.frames.take();
  ASSERT_EQ(frames.size(), 128U);
  for (std::size_t i = 0; i < 128; ++i) EXPECT_EQ(frames[i].size(), 62 + i);
}

TEST_F(Outbound, frames_are_padded_to_sixteen_but_never_beyond_the_mtu) {
  for (const std::size_t mtu : {std::size_t{1280}, std::size_t{1420}, std::size_t{1423}}) {
    PeerPair pair(3, mtu);
    pair.handshake();
    for (std::size_t size = 28; size <= mtu; ++size) {
      pair.send(pair.a, pair.b, size);
      const std::size_t sent = pair.a.out.sent.at(0).bytes.size() - 32;
      EXPECT_EQ(sent, std::min((size + 15) / 16 * 16, mtu)) << size;
      pair.exchange();
      EXPECT_EQ(pair.b.frames.take().at(0), pair.frame(pair.a, pair.b, size));
    }
    // Larger than the MTU is the device's business: it goes as it is.
    pair.send(pair.a, pair.b, mtu + 5);
    EXPECT_EQ(pair.a.out.take().at(0).bytes.size() - 32, mtu + 5);
  }
}

TEST_F(Outbound, a_new_mtu_counts_at_once) {
  pair_.handshake();
  pair_.a.engine.set_mtu(1281);
  EXPECT_EQ(answer(pair_.frame(pair_.a, pair_.b, 1281)).at(0).bytes.size(), 1281U + 32);
}

TEST_F(Outbound, a_keepalive_is_thirty_two_bytes) {
  pair_.handshake();
  pair_.settle();
  pair_.a.engine.set_persistent_keepalive(pair_.b_at_a, 5s, pair_.now);
  pair_.a.engine.on_deadline(pair_.now, pair_.a.out);
  ASSERT_EQ(pair_.a.out.sent.size(), 1U);
  EXPECT_EQ(pair_.a.out.sent[0].bytes.size(), 32U);
  EXPECT_EQ(pair_.a.out.sent[0].traffic_class, 0);
}

TEST_F(Outbound, only_the_congestion_mark_is_copied_outward) {
  pair_.handshake();
  pair_.a.engine.add_allowed_ip(pair_.b_at_a, *Prefix::parse("fd00::/64"));
  for (unsigned traffic_class = 0; traffic_class < 256; ++traffic_class) {
    const auto inner = static_cast<std::uint8_t>(traffic_class);
    const auto v4 = answer(PacketBuilder{pair_.a.inner, pair_.b.inner, inner}.udp_of_size(60));
    const auto v6 =
        answer(PacketBuilder{*Address::parse("fd00::1"), *Address::parse("fd00::2"), inner}.udp_of_size(60));
    EXPECT_EQ(v4.at(0).traffic_class, traffic_class & 3);
    EXPECT_EQ(v6.at(0).traffic_class, traffic_class & 3);
  }
}

TEST_F(Outbound, a_full_sink_costs_the_frame_only) {
  pair_.handshake();
  pair_.a.out.is_full = true;
  EXPECT_TRUE(answer(pair_.frame(pair_.a, pair_.b)).empty());
  EXPECT_EQ(pair_.a.dropped(DropReason::BatchFull), 1U);
  pair_.a.out.is_full = false;
  pair_.send(pair_.a, pair_.b);
  pair_.exchange();
  EXPECT_EQ(pair_.b.frames.take().size(), 1U);
}

TEST_F(Outbound, an_initiation_that_found_no_room_is_repeated) {
  pair_.a.out.is_full = true;
  EXPECT_TRUE(answer(pair_.frame(pair_.a, pair_.b)).empty());
  EXPECT_EQ(pair_.a.dropped(DropReason::BatchFull), 1U);
  pair_.a.out.is_full = false;
  pair_.advance(5s + limits::rekey_timeout_jitter_max);
  pair_.a.engine.on_deadline(pair_.now, pair_.a.out);
  pair_.exchange();
  EXPECT_EQ(pair_.b.frames.take().size(), 1U);
}

TEST_F(Outbound, a_response_that_found_no_room_is_a_lost_one) {
  pair_.send(pair_.a, pair_.b);
  pair_.b.out.is_full = true;
  pair_.deliver(pair_.a, pair_.b);
  EXPECT_EQ(pair_.b.dropped(DropReason::BatchFull), 1U);
  pair_.b.out.is_full = false;
  pair_.advance(5s + limits::rekey_timeout_jitter_max);
  pair_.a.engine.on_deadline(pair_.now, pair_.a.out);
  pair_.exchange();
  EXPECT_EQ(pair_.b.frames.take().size(), 1U);
}

TEST_F(Outbound, the_initiator_asks_for_new_keys_with_the_first_data_after_two_minutes) {
  pair_.handshake();
  pair_.advance(120s - 1ns);
  EXPECT_EQ(answer(pair_.frame(pair_.a, pair_.b)).size(), 1U);
  pair_.advance(1ns);
  const auto sent = answer(pair_.frame(pair_.a, pair_.b));
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[0].bytes.size(), 32U + 112);
  EXPECT_EQ(sent[1].bytes.size(), 148U);
}

TEST_F(Outbound, the_responder_never_asks_for_new_keys_because_of_time) {
  pair_.handshake();
  pair_.advance(180s - 1ns);
  pair_.send(pair_.b, pair_.a);
  ASSERT_EQ(pair_.b.out.sent.size(), 1U);
  EXPECT_EQ(pair_.b.out.sent[0].bytes.size(), 32U + 112);
}

TEST_F(Outbound, either_side_asks_for_new_keys_after_too_many_messages) {
  pair_.handshake();
  pair_.advance(5s);
  session_of_a().set_sending_counter(limits::rekey_after_messages - 1);
  EXPECT_EQ(answer(pair_.frame(pair_.a, pair_.b)).size(), 1U);
  EXPECT_EQ(answer(pair_.frame(pair_.a, pair_.b)).size(), 2U);

  const_cast<Session&>(*pair_.peer_at_b().sessions.current()).set_sending_counter(limits::rekey_after_messages);
  pair_.send(pair_.b, pair_.a);
  EXPECT_EQ(pair_.b.out.sent.size(), 2U);
}

TEST_F(Outbound, nothing_is_sealed_with_old_keys) {
  pair_.handshake();
  pair_.advance(180s);
  const auto sent = answer(pair_.frame(pair_.a, pair_.b));
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].bytes.size(), 148U);
  EXPECT_EQ(pair_.peer_at_a().staged.size(), 1U);
}

TEST_F(Outbound, nothing_is_sealed_beyond_the_last_counter) {
  pair_.handshake();
  pair_.advance(5s);
  session_of_a().set_sending_counter(limits::reject_after_messages - 1);
  const auto last = answer(pair_.frame(pair_.a, pair_.b));
  ASSERT_EQ(last.size(), 2U);
  EXPECT_EQ(load<Le64>(&last[0].bytes[8]), limits::reject_after_messages - 1);
  EXPECT_EQ(last[1].bytes.size(), 148U);
  EXPECT_TRUE(answer(pair_.frame(pair_.a, pair_.b)).empty());
  EXPECT_EQ(pair_.peer_at_a().staged.size(), 1U);
}

TEST_F(Outbound, a_keepalive_without_usable_keys_becomes_a_handshake) {
  pair_.handshake();
  pair_.advance(180s);
  pair_.a.engine.set_persistent_keepalive(pair_.b_at_a, 5s, pair_.now);
  pair_.a.engine.on_deadline(pair_.now, pair_.a.out);
  ASSERT_EQ(pair_.a.out.sent.size(), 1U);
  EXPECT_EQ(pair_.a.out.sent[0].bytes.size(), 148U);
}

TEST_F(Outbound, counts_what_it_sends) {
  pair_.send(pair_.a, pair_.b);
  EXPECT_EQ(pair_.peer_at_a().sent_bytes, 148U);
  pair_.exchange();
  constexpr std::size_t hello = hello_size + limits::data_overhead;
  EXPECT_EQ(pair_.peer_at_a().sent_bytes, 148U + 144 + hello);
  EXPECT_EQ(pair_.peer_at_b().received_bytes, 148U + 144 + hello);
  EXPECT_EQ(pair_.peer_at_b().sent_bytes, 92U + hello);
  EXPECT_EQ(pair_.peer_at_a().received_bytes, 92U + hello);
}

TEST_F(Outbound, no_public_key_is_ever_seen_on_the_wire) {
  std::vector<SentDatagram> wire;
  const auto relay = [&](EngineNode& from, EngineNode& to) {
    wire.insert(wire.end(), from.out.sent.begin(), from.out.sent.end());
    pair_.deliver(from, to);
  };
  pair_.send(pair_.a, pair_.b);
  relay(pair_.a, pair_.b);
  relay(pair_.b, pair_.a);
  relay(pair_.a, pair_.b);
  relay(pair_.b, pair_.a);
  ASSERT_EQ(wire.size(), 5U) << "an initiation, a response, the frame, a hello and its answer";
  for (const SentDatagram& datagram : wire) {
    EXPECT_FALSE(contains(datagram.bytes, pair_.a.public_key.bytes()));
    EXPECT_FALSE(contains(datagram.bytes, pair_.b.public_key.bytes()));
  }
}

}  // namespace
}  // namespace culvert
