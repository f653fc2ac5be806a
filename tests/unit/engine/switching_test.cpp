// Ethernet between engines: who gets a frame, what is refused, and what is forgotten when a peer goes.
#include "culvert/engine/switching.hpp"

#include <gtest/gtest.h>

#include "culvert/protocol/envelope.hpp"
#include "support/ethernet_frames.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

MacAddress station(std::size_t node, std::uint64_t number = 0) {
  return SwitchedLan::station(node, number);
}

Bytes frame_between(std::size_t from, MacAddress to, std::size_t payload = 46) {
  return FrameBuilder{.destination = to, .source = station(from), .payload_size = payload}.frame();
}

/// Node 0 is the hub of 1, 2 and 3.
class SwitchingHub : public testing::Test {
 protected:
  SwitchingHub() {
    for (const std::size_t spoke : {1U, 2U, 3U}) lan.connect(spoke, 0);
    lan.settle();
  }
  std::vector<std::size_t> counts() {
    std::vector<std::size_t> result;
    for (std::size_t i = 0; i < 4; ++i) result.push_back(lan.frames_at(i).size());
    return result;
  }
  using Counts = std::vector<std::size_t>;
  SwitchedLan lan{4};
};

TEST_F(SwitchingHub, a_broadcast_of_one_reaches_each_of_the_others_once) {
  lan.send(0, frame_between(0, everybody));
  EXPECT_EQ(counts(), (Counts{0, 1, 1, 1}));
  lan.send(1, frame_between(1, everybody));
  EXPECT_EQ(counts(), (Counts{1, 0, 1, 1}));
}

TEST_F(SwitchingHub, frames_cross_unchanged_whatever_their_size) {
  for (std::size_t payload = 0; payload <= SwitchedLan::mtu; ++payload) {
    const Bytes frame = frame_between(1, station(2), payload);
    lan.send(1, frame);
    ASSERT_EQ(lan.frames_at(2), std::vector<Bytes>{frame}) << payload;
  }
}

TEST_F(SwitchingHub, an_unknown_station_is_flooded_for_once_and_the_reply_goes_direct) {
  const MacAddress stranger = station(2, 7);
  lan.send(1, frame_between(1, stranger));
  EXPECT_EQ(counts(), (Counts{1, 0, 1, 1}));
  lan.send(2, FrameBuilder{.destination = station(1), .source = stranger}.frame());
  EXPECT_EQ(counts(), (Counts{0, 1, 0, 0}));
  lan.send(1, frame_between(1, stranger));
  EXPECT_EQ(counts(), (Counts{0, 0, 1, 0}));
}

TEST_F(SwitchingHub, a_station_that_moves_is_followed) {
  const MacAddress mobile = station(1, 9);
  lan.send(1, FrameBuilder{.destination = everybody, .source = mobile}.frame());
  lan.send(2, FrameBuilder{.destination = everybody, .source = mobile}.frame());
  counts();
  lan.send(0, frame_between(0, mobile));
  EXPECT_EQ(counts(), (Counts{0, 0, 1, 0}));
}

TEST_F(SwitchingHub, tags_cross_and_keep_stations_apart) {
  const Bytes tagged = FrameBuilder{.destination = everybody, .source = station(1, 3), .vlan = 42}.frame();
  lan.send(1, tagged);
  EXPECT_EQ(lan.frames_at(0), std::vector<Bytes>{tagged});
  counts();
  lan.send(0, FrameBuilder{.destination = station(1, 3), .source = station(0), .vlan = 42}.frame());
  EXPECT_EQ(counts(), (Counts{0, 1, 0, 0}));
  lan.send(0, FrameBuilder{.destination = station(1, 3), .source = station(0), .vlan = 43}.frame());
  EXPECT_EQ(counts(), (Counts{0, 1, 1, 1}));
}

TEST_F(SwitchingHub, frames_of_bad_size_are_refused_at_both_ends) {
  const Bytes frame = frame_between(0, station(1), SwitchedLan::mtu);
  for (std::size_t size = 0; size < 14; ++size) lan.send(0, ByteView(frame).first(size));
  EXPECT_EQ(lan[0].dropped(DropReason::FrameTooShort), 14U);
  lan.send(0, frame_between(0, station(1), SwitchedLan::mtu + 1));
  EXPECT_EQ(lan[0].dropped(DropReason::FrameTooLarge), 1U);
  EXPECT_EQ(counts(), (Counts{0, 0, 0, 0}));
  // A tag is no part of what the MTU counts.
  lan.send(0, FrameBuilder{everybody, station(0), 5, 0x88b6, SwitchedLan::mtu}.frame());
  EXPECT_EQ(counts(), (Counts{0, 1, 1, 1}));
  // One with a larger MTU at the other end.
  lan[1].engine.set_mtu(9000);
  lan.send(1, frame_between(1, station(0), SwitchedLan::mtu + 1));
  EXPECT_EQ(lan[0].dropped(DropReason::FrameTooLarge), 2U);
  EXPECT_EQ(counts(), (Counts{0, 0, 0, 0}));
}

TEST_F(SwitchingHub, a_peer_that_uses_a_local_stations_address_is_refused) {
  lan.send(1, FrameBuilder{.destination = everybody, .source = station(0)}.frame());
  EXPECT_EQ(lan[0].dropped(DropReason::LocalAddress), 1U);
  EXPECT_EQ(counts(), (Counts{0, 0, 0, 0}));
  lan.send(2, frame_between(2, station(0)));
  EXPECT_EQ(counts(), (Counts{1, 0, 0, 0}));
}

TEST_F(SwitchingHub, control_frames_are_filtered_unless_asked_for) {
  const Bytes control = frame_between(1, MacAddress(0x0180c2000000));
  lan.send(1, control);
  EXPECT_EQ(lan[1].dropped(DropReason::LinkLocalGroup), 1U);
  lan[1].engine.set_switching({.link_local_frames = true});
  lan.send(1, control);
  EXPECT_EQ(lan[0].dropped(DropReason::LinkLocalGroup), 1U);
  EXPECT_EQ(counts(), (Counts{0, 0, 0, 0}));
  lan[0].engine.set_switching({.link_local_frames = true});
  lan.send(1, control);
  EXPECT_EQ(lan.frames_at(0), std::vector<Bytes>{control});
}

TEST_F(SwitchingHub, without_relay_peers_reach_the_local_device_only) {
  lan[0].engine.set_switching({.relay = false});
  lan.send(1, frame_between(1, everybody));
  lan.send(1, frame_between(1, station(2)));
  EXPECT_EQ(counts(), (Counts{1, 0, 0, 0}));
  EXPECT_EQ(lan[0].dropped(DropReason::NotRelayed), 1U);
}

TEST_F(SwitchingHub, a_peer_floods_no_more_than_a_thousand_frames_a_second) {
  for (int i = 0; i < 3000; ++i) lan.send(1, frame_between(1, everybody));
  const std::size_t arrived = lan.frames_at(0).size();
  EXPECT_LE(arrived, 1000U);
  EXPECT_EQ(arrived + lan[0].dropped(DropReason::FloodLimit), 3000U);
  EXPECT_LE(lan.frames_at(2).size(), 1000U);
}

TEST_F(SwitchingHub, a_removed_peers_stations_are_forgotten_at_once) {
  const PeerId gone = lan.id_at(0, 1);
  EXPECT_GE(lan[0].engine.ethernet()->table().size_of(gone), 1U);
  lan[0].engine.remove_peer(gone);
  EXPECT_EQ(lan[0].engine.ethernet()->table().size_of(gone), 0U);
  // Who takes the place starts with nothing.
  lan[0].engine.ensure_peer(lan[1].public_key);
  lan.send(0, frame_between(0, station(1)));
  // The others know that the station is not theirs.
  EXPECT_EQ(lan[2].dropped(DropReason::SamePort), 1U);
  EXPECT_EQ(lan[3].dropped(DropReason::SamePort), 1U);
  EXPECT_EQ(counts(), (Counts{0, 0, 0, 0}));
}

TEST_F(SwitchingHub, stations_of_a_peer_that_does_not_answer_any_more_are_forgotten) {
  const PeerId silent = lan.id_at(0, 1);
  lan[0].engine.on_frame(frame_between(0, station(1)), lan.now, lan[0].out);
  for (int second = 0; second < 150; ++second) {
    lan.now.time += 1s;
    lan[0].engine.on_deadline(lan.now, lan[0].out);
    lan[0].out.take();
    if (second == 50) {
      EXPECT_EQ(lan[0].engine.ethernet()->table().size_of(silent), 1U);
    }
  }
  EXPECT_EQ(lan[0].engine.ethernet()->table().size_of(silent), 0U);
}

TEST_F(SwitchingHub, stations_of_a_peer_whose_keys_expired_are_forgotten) {
  for (int second = 0; second < 30; ++second) lan.advance(1s);
  const PeerId quiet = lan.id_at(0, 1);
  EXPECT_EQ(lan[0].engine.ethernet()->table().size_of(quiet), 1U);
  for (int second = 0; second < 600; ++second) lan.advance(1s);
  EXPECT_EQ(lan[0].engine.ethernet()->table().size_of(quiet), 0U);
}

TEST_F(SwitchingHub, who_has_allowed_ips_must_come_from_them) {
  const Address theirs = *Address::parse("10.0.0.2");
  const Address others = *Address::parse("10.0.0.3");
  const Address hub = *Address::parse("10.0.0.1");
  const Address v6 = *Address::parse("fd00::2");
  const Address v6_hub = *Address::parse("fd00::1");
  const FrameBuilder builder{.destination = station(0), .source = station(1)};
  const auto reaches_hub = [&](const Bytes& frame) {
    lan.send(1, frame);
    return lan.frames_at(0).size() == 1;
  };
  // No AllowedIPs: no restriction.
  EXPECT_TRUE(reaches_hub(builder.ip(PacketBuilder{others, hub}.udp_of_size(60))));

  const PeerId peer = lan.id_at(0, 1);
  lan[0].engine.add_allowed_ip(peer, *Prefix::parse("10.0.0.2/32"));
  lan[0].engine.add_allowed_ip(peer, *Prefix::parse("fd00::2/128"));
  EXPECT_TRUE(reaches_hub(builder.ip(PacketBuilder{theirs, hub}.udp_of_size(60))));
  EXPECT_TRUE(reaches_hub(builder.arp(theirs, hub)));
  EXPECT_TRUE(reaches_hub(builder.ip(PacketBuilder{v6, v6_hub}.udp_of_size(60))));
  // Who has no address yet, what never leaves the link, and what is not IP.
  EXPECT_TRUE(reaches_hub(builder.arp(Address(), theirs)));
  EXPECT_TRUE(reaches_hub(builder.ip(PacketBuilder{*Address::parse("::"), v6_hub}.udp_of_size(60))));
  EXPECT_TRUE(reaches_hub(builder.ip(PacketBuilder{*Address::parse("fe80::7"), v6_hub}.udp_of_size(60))));
  EXPECT_TRUE(reaches_hub(builder.frame()));
  EXPECT_EQ(lan[0].dropped(DropReason::SourceNotAllowed), 0U);

  EXPECT_FALSE(reaches_hub(builder.ip(PacketBuilder{others, hub}.udp_of_size(60))));
  EXPECT_FALSE(reaches_hub(builder.arp(others, hub)));
  EXPECT_FALSE(reaches_hub(builder.ip(PacketBuilder{*Address::parse("fd00::3"), v6_hub}.udp_of_size(60))));
  FrameBuilder tagged = builder;
  tagged.vlan = 3;
  EXPECT_FALSE(reaches_hub(tagged.arp(others, hub)));
  // Behind more tags than are read nothing can be checked.
  Bytes behind_tags{std::byte{0}, std::byte{3}, std::byte{0x81}, std::byte{0}, std::byte{0}, std::byte{3}};
  const Bytes arp = builder.arp(others, hub);
  behind_tags.insert(behind_tags.end(), arp.begin() + 12, arp.end());
  tagged.type = ethertype::customer_tag;
  EXPECT_FALSE(reaches_hub(tagged.around(behind_tags)));
  EXPECT_EQ(lan[0].dropped(DropReason::SourceNotAllowed), 5U);
  Bytes cut = builder.arp(theirs, hub);
  cut.pop_back();
  EXPECT_FALSE(reaches_hub(cut));
  EXPECT_EQ(lan[0].dropped(DropReason::FrameHeader), 1U);

  lan[0].engine.clear_allowed_ips(peer);
  EXPECT_TRUE(reaches_hub(builder.arp(others, hub)));
}

TEST_F(SwitchingHub, the_congestion_mark_crosses_inside_and_out) {
  const Address from = *Address::parse("10.0.0.2");
  const Address to = *Address::parse("10.0.0.1");
  const FrameBuilder builder{.destination = station(0), .source = station(1)};
  const Bytes capable =
      builder.ip(PacketBuilder{.source = from, .destination = to, .traffic_class = 2}.udp_of_size(60));
  lan[1].engine.on_frame(capable, lan.now, lan[1].out);
  std::vector<SentDatagram> sent = lan[1].out.take();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].traffic_class & 3, 2);
  lan[0].receive(lan[1].endpoint, sent[0].bytes, lan.now, 3);
  const std::vector<Bytes> arrived = lan.frames_at(0);
  ASSERT_EQ(arrived.size(), 1U);
  EXPECT_EQ(std::to_integer<int>(arrived[0][15]) & 3, 3);
  // What cannot carry the mark is dropped.
  lan[1].engine.on_frame(builder.ip(PacketBuilder{from, to}.udp_of_size(60)), lan.now, lan[1].out);
  sent = lan[1].out.take();
  lan[0].receive(lan[1].endpoint, sent.at(0).bytes, lan.now, 3);
  EXPECT_EQ(lan[0].dropped(DropReason::EcnMismatch), 1U);
}

TEST_F(SwitchingHub, a_replayed_frame_is_refused_and_teaches_nothing) {
  lan[1].engine.on_frame(FrameBuilder{.destination = everybody, .source = station(1, 5)}.frame(), lan.now, lan[1].out);
  const std::vector<SentDatagram> sent = lan[1].out.take();
  lan[0].receive(lan[1].endpoint, sent.at(0).bytes, lan.now);
  lan.send(2, FrameBuilder{.destination = everybody, .source = station(1, 5)}.frame());
  counts();
  lan[0].receive(lan[1].endpoint, sent.at(0).bytes, lan.now);
  EXPECT_EQ(lan[0].dropped(DropReason::Replay), 1U);
  EXPECT_EQ(lan[0].engine.ethernet()->table().find(0, station(1, 5), lan.now.time), SwitchPort(lan.id_at(0, 2)));
}

TEST_F(SwitchingHub, a_run_of_frames_for_a_known_station_is_admitted_at_once) {
  const Bytes frame = frame_between(0, station(1), 1000);
  auto sealing = lan[0].engine.admit(frame, 3, 3 * frame.size(), lan.now);
  ASSERT_TRUE(sealing);
  // In front of the frame is room for the envelope, behind it for the padding.
  Bytes memory(2 + frame.size() + 15, std::byte{0x77});
  const ByteSpan inside = ByteSpan(memory).subspan(2, frame.size());
  for (int i = 0; i < 3; ++i) {
    copy_bytes(frame, inside);
    EXPECT_TRUE(sealing->seal_with_room(inside, lan[0].out));
    EXPECT_EQ(memory.back(), std::byte{0x77});
  }
  lan.exchange();
  EXPECT_EQ(lan.frames_at(1), std::vector(3, frame));
  EXPECT_FALSE(lan[0].engine.admit(frame_between(0, everybody), 1, 60, lan.now)) << "is flooded";
  EXPECT_FALSE(lan[0].engine.admit(frame_between(0, station(3, 3)), 1, 60, lan.now)) << "is flooded";
  EXPECT_FALSE(lan[0].engine.admit(frame_between(0, station(1), 1501), 1, 1515, lan.now)) << "is too large";
}

TEST_F(SwitchingHub, counts_the_bytes_that_it_sends) {
  const std::uint64_t before = lan[0].engine.find_peer(lan.id_at(0, 1))->sent_bytes;
  lan[0].engine.on_frame(frame_between(0, station(1), 777), lan.now, lan[0].out);
  EXPECT_EQ(lan[0].engine.find_peer(lan.id_at(0, 1))->sent_bytes - before, lan[0].out.sent_bytes());
}

TEST(Switching, frames_wait_for_a_session_and_arrive_in_order) {
  SwitchedLan lan(2);
  lan.connect(0, 1);
  std::vector<Bytes> sent;
  for (std::uint64_t i = 0; i < 5; ++i) {
    sent.push_back(frame_between(0, station(1, i)));
    lan[0].engine.on_frame(sent.back(), lan.now, lan[0].out);
  }
  lan.exchange();
  lan.advance(1s);
  EXPECT_EQ(lan.frames_at(1), sent);
}

TEST(Switching, nothing_goes_to_a_routed_peer_or_comes_from_one) {
  SwitchedLan lan(2);
  lan[1].engine.set_mode(DeviceMode::Routed);
  const PeerId id = lan.connect(0, 1);
  lan.settle();
  lan.advance(10s);
  lan.send(0, frame_between(0, everybody));
  EXPECT_TRUE(lan.frames_at(1).empty());
  EXPECT_GE(lan[0].dropped(DropReason::ModeMismatch), 1U);
  lan[1].engine.add_allowed_ip(lan.id_at(1, 0), *Prefix::parse("0.0.0.0/0"));
  lan.send(1, PacketBuilder{*Address::parse("10.0.0.2"), *Address::parse("10.0.0.1")}.udp_of_size(60));
  EXPECT_TRUE(lan.frames_at(0).empty());
  EXPECT_EQ(lan[0].engine.ethernet()->table().size_of(id), 0U);
}

TEST(Switching, without_any_peer_a_frame_is_dropped_and_counted) {
  SwitchedLan lan(1);
  lan.send(0, frame_between(0, everybody));
  EXPECT_EQ(lan[0].dropped(DropReason::NoPeer), 1U);
}

TEST(Switching, back_in_routed_mode_nothing_of_the_switch_is_left) {
  SwitchedLan lan(2);
  lan.connect(0, 1);
  lan.settle();
  lan[0].engine.set_mode(DeviceMode::Routed);
  EXPECT_EQ(lan[0].engine.ethernet(), nullptr);
  lan.send(0, frame_between(0, everybody));
  EXPECT_EQ(lan[0].dropped(DropReason::FrameHeader), 1U);
}

}  // namespace
}  // namespace culvert
