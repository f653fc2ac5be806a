// What is merged and what is not: each rule, the cases of the kernel's GRO self-test, and random flows.
#include "culvert/forwarding/coalescer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "support/flow_packet.hpp"
#include "support/gathered_frames.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

using Bytes = std::vector<std::byte>;
using testing::ElementsAre;

/// A Coalescer, the memory of the frames put into it, and what came out.
class Batch {
 public:
  explicit Batch(const CoalescerSettings& settings = {}) : settings_(settings) {}

  void put(Bytes frame) {
    originals.push_back(frame);
    memory_.push_back(std::move(frame));
    coalescer_.put(memory_.back());
  }
  void put(const FlowPacket& packet) { put(packet.build()); }
  void flush() { coalescer_.flush(); }

  /// How many frames went into each write; 0 for a write that is not valid.
  [[nodiscard]] std::vector<std::size_t> counts() const {
    std::vector<std::size_t> result;
    for (const auto& write : out.writes) {
      result.push_back(GatheredFrames::segmented(write, settings_.is_ethernet).size());
    }
    return result;
  }
  /// All frames that the writes stand for.
  [[nodiscard]] std::vector<Bytes> arrived() const {
    std::vector<Bytes> result;
    for (const auto& write : out.writes) {
      for (Bytes& frame : GatheredFrames::segmented(write, settings_.is_ethernet)) result.push_back(std::move(frame));
    }
    return result;
  }

  std::vector<Bytes> originals;
  GatheredFrames out;

 private:
  const CoalescerSettings settings_;
  std::deque<Bytes> memory_;
  Coalescer coalescer_{settings_, out};
};

FlowPacket packet_of(bool is_v4, bool is_tcp, std::size_t payload = 100) {
  return {.is_v4 = is_v4, .is_tcp = is_tcp, .payload = FlowPacket::bytes(payload)};
}

/// The numbers of frames in each write for `frames`, which all arrive, unchanged and in order.
std::vector<std::size_t> counts_of(const std::vector<Bytes>& frames, const CoalescerSettings& settings = {}) {
  Batch batch(settings);
  for (const Bytes& frame : frames) batch.put(frame);
  batch.flush();
  EXPECT_EQ(batch.arrived(), batch.originals);
  return batch.counts();
}

std::vector<std::size_t> counts_of(const std::vector<FlowPacket>& packets, const CoalescerSettings& settings = {}) {
  std::vector<Bytes> frames;
  for (const FlowPacket& packet : packets) frames.push_back(packet.build());
  return counts_of(frames, settings);
}

class MergeEachKind : public testing::TestWithParam<std::tuple<bool, bool, std::size_t>> {
 protected:
  [[nodiscard]] FlowPacket packet(std::size_t payload) const {
    FlowPacket result = packet_of(std::get<0>(GetParam()), std::get<1>(GetParam()), payload);
    result.l2 = FlowPacket::ethernet(l2_length(), result.is_v4);
    return result;
  }
  [[nodiscard]] std::size_t l2_length() const { return std::get<2>(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Coalescer, MergeEachKind,
                         testing::Combine(testing::Bool(), testing::Bool(), testing::Values(0, 14, 18, 22)),
                         [](const auto& each) {
                           return std::string(std::get<0>(each.param) ? "v4" : "v6") +
                                  (std::get<1>(each.param) ? "_tcp_" : "_udp_") +
                                  std::to_string(std::get<2>(each.param));
                         });

TEST_P(MergeEachKind, merges_what_follows_into_one_super_frame) {
  const FlowPacket whole = packet(250);
  Batch batch({.is_ethernet = l2_length() != 0});
  for (const FlowPacket& segment : whole.segments(100)) batch.put(segment);
  batch.flush();
  ASSERT_EQ(batch.out.writes.size(), 1U);
  const auto& write = batch.out.writes[0];
  EXPECT_EQ(write.header, whole.super_header(100));
  EXPECT_EQ(write.frame, whole.build_partial());
  EXPECT_EQ(write.pieces, 3U);
}

TEST_P(MergeEachKind, leaves_a_frame_alone_as_it_is) {
  Batch batch({.is_ethernet = l2_length() != 0});
  Bytes frame = packet(100).build();
  frame[packet(100).checksum_field()] ^= std::byte{1};  // whoever receives it is to see that it is broken
  batch.put(frame);
  batch.flush();
  ASSERT_EQ(batch.out.writes.size(), 1U);
  EXPECT_EQ(batch.out.writes[0].header, VirtioNetHeader{});
  EXPECT_EQ(batch.out.writes[0].frame, frame);
  EXPECT_EQ(batch.out.writes[0].pieces, 1U);
}

TEST_P(MergeEachKind, merges_only_what_it_is_allowed_to) {
  const FlowPacket first = packet(100);
  const CoalescerSettings only{.tcp4 = first.is_tcp && first.is_v4,
                               .tcp6 = first.is_tcp && !first.is_v4,
                               .udp = !first.is_tcp,
                               .is_ethernet = l2_length() != 0};
  const CoalescerSettings others{
      .tcp4 = !only.tcp4, .tcp6 = !only.tcp6, .udp = !only.udp, .is_ethernet = l2_length() != 0};
  const std::vector<FlowPacket> packets{first, first.next(100)};
  EXPECT_THAT(counts_of(packets, only), ElementsAre(2));
  EXPECT_THAT(counts_of(packets, others), ElementsAre(1, 1));
}

TEST_P(MergeEachKind, merges_nothing_over_a_broken_checksum) {
  const FlowPacket first = packet(100);
  const FlowPacket second = first.next(100);
  const FlowPacket third = second.next(100);
  const std::vector<std::vector<std::size_t>> expected{{1, 2}, {1, 1, 1}, {2, 1}};
  for (std::size_t broken = 0; broken < 3; ++broken) {
    std::vector<Bytes> frames{first.build(), second.build(), third.build()};
    frames[broken].back() ^= std::byte{1};
    EXPECT_EQ(counts_of(frames, {.is_ethernet = l2_length() != 0}), expected[broken]) << broken;
  }
}

TEST_P(MergeEachKind, never_exceeds_what_a_packet_can_say_of_its_length) {
  const FlowPacket first = packet(1400);
  std::vector<FlowPacket> packets{first};
  while (packets.size() < 100) packets.push_back(packets.back().next(1400));
  const std::size_t most = (65535 - first.header_size()) / 1400;
  EXPECT_THAT(counts_of(packets, {.is_ethernet = l2_length() != 0}), ElementsAre(most, most, 100 - 2 * most));
}

TEST_P(MergeEachKind, fills_a_super_frame_to_the_last_byte) {
  const FlowPacket first = packet(30000);
  const FlowPacket second = first.next(30000);
  const std::size_t rest = 65535 - first.header_size() - 60000;
  EXPECT_THAT(counts_of({first, second, second.next(rest)}, {.is_ethernet = l2_length() != 0}), ElementsAre(3));
  EXPECT_THAT(counts_of({first, second, second.next(rest + 1)}, {.is_ethernet = l2_length() != 0}), ElementsAre(2, 1));
}

/// What may differ between two frames that follow each other, and whether they are merged.
struct Difference {
  const char* name;
  bool is_v4;
  bool is_tcp;
  bool is_merged;
  std::function<void(FlowPacket& first, FlowPacket& second)> apply;
};

class MergeEachDifference : public testing::TestWithParam<Difference> {};

TEST_P(MergeEachDifference, is_heeded) {
  const Difference& difference = GetParam();
  FlowPacket first = packet_of(difference.is_v4, difference.is_tcp);
  FlowPacket second = first.next(100);
  EXPECT_THAT(counts_of({first, second}), ElementsAre(2));
  difference.apply(first, second);
  if (difference.is_merged) {
    EXPECT_THAT(counts_of({first, second}), ElementsAre(2));
  } else {
    EXPECT_THAT(counts_of({first, second}), ElementsAre(1, 1));
  }
}

using P = FlowPacket&;
const Difference differences[] = {
    {"source_address", true, true, false, [](P, P b) { b.source_host = 9; }},
    {"destination_address", true, true, false, [](P, P b) { b.destination_host = 9; }},
    {"source_address_of_ipv6", false, true, false, [](P, P b) { b.source_host = 9; }},
    {"destination_address_of_ipv6", false, true, false, [](P, P b) { b.destination_host = 9; }},
    {"source_port", true, true, false, [](P, P b) { b.source_port = 9; }},
    {"destination_port", true, true, false, [](P, P b) { b.destination_port = 9; }},
    {"source_port_of_udp", true, false, false, [](P, P b) { b.source_port = 9; }},
    {"destination_port_of_udp", false, false, false, [](P, P b) { b.destination_port = 9; }},
    {"protocol", true, true, false, [](P, P b) { b.is_tcp = false; }},
    {"family", true, true, false, [](P, P b) { b.is_v4 = false; }},
    // The kernel's case "ip".
    {"ecn", true, true, false, [](P, P b) { b.traffic_class = 3; }},
    {"dscp", true, false, false, [](P, P b) { b.traffic_class = 0x20; }},
    {"traffic_class", false, true, false, [](P, P b) { b.traffic_class = 3; }},
    {"time_to_live", true, true, false, [](P, P b) { b.hop_limit = 63; }},
    {"hop_limit", false, false, false, [](P, P b) { b.hop_limit = 63; }},
    {"flow_label", false, true, false, [](P, P b) { b.flow_label ^= 1; }},
    {"flow_label_of_udp", false, false, false, [](P, P b) { b.flow_label ^= 0x80000; }},
    {"ip_options_of_the_second", true, true, false, [](P, P b) { b.ip_options = Bytes(4, std::byte{1}); }},
    {"ip_options_of_both", true, true, false,
     [](P a, P b) { a.ip_options = b.ip_options = Bytes(4, std::byte{1}); }},
    {"reserved_bit", true, true, false, [](P a, P b) { a.fragment = b.fragment = 0xc000; }},
    {"dont_fragment_of_the_first", true, true, false, [](P, P b) { b.fragment = 0; }},
    {"dont_fragment_of_the_second", true, true, false, [](P a, P) { a.fragment = 0; }},
    {"consecutive_ids_where_fragments_may_be", true, true, true, [](P a, P b) { a.fragment = b.fragment = 0; }},
    {"ids_that_wrap", true, false, true,
     [](P a, P b) {
       a.fragment = b.fragment = 0;
       a.id = 0xffff;
       b.id = 0;
     }},
    {"equal_ids_where_fragments_may_be", true, true, false,
     [](P a, P b) {
       a.fragment = b.fragment = 0;
       b.id = a.id;
     }},
    {"a_gap_in_ids_where_fragments_may_be", true, false, false,
     [](P a, P b) {
       a.fragment = b.fragment = 0;
       b.id = static_cast<std::uint16_t>(a.id + 2);
     }},
    {"extension_headers", false, true, false,
     [](P a, P b) {
       a.extensions = b.extensions = Bytes(8);
       a.extensions[0] = b.extensions[0] = std::byte{6};
     }},
    // The kernel's cases "tcp" and "flags".
    {"sequence_ahead", true, true, false, [](P, P b) { b.sequence += 1; }},
    {"sequence_behind", false, true, false, [](P, P b) { b.sequence -= 1; }},
    {"sequence_repeated", true, true, false, [](P a, P b) { b.sequence = a.sequence; }},
    {"sequence_that_wraps", true, true, true,
     [](P a, P b) {
       a.sequence = 0xffffffff - 49;
       b.sequence = 50;
     }},
    {"acknowledgement", true, true, false, [](P, P b) { b.acknowledgement += 1; }},
    {"window", true, true, false, [](P, P b) { b.window += 1; }},
    {"urgent_pointer", true, true, false, [](P, P b) { b.urgent_pointer = 1; }},
    {"equal_options", true, true, true, [](P a, P b) { a.tcp_options = b.tcp_options = FlowPacket::bytes(12); }},
    {"last_byte_of_options", true, true, false,
     [](P a, P b) {
       a.tcp_options = b.tcp_options = FlowPacket::bytes(12);
       b.tcp_options.back() ^= std::byte{1};
     }},
    {"first_byte_of_options", false, true, false,
     [](P a, P b) {
       a.tcp_options = b.tcp_options = FlowPacket::bytes(40);
       b.tcp_options.front() ^= std::byte{1};
     }},
    {"options_of_the_second", true, true, false, [](P, P b) { b.tcp_options = Bytes(4, std::byte{1}); }},
    {"options_of_the_first", true, true, false, [](P a, P) { a.tcp_options = Bytes(4, std::byte{1}); }},
    {"fin", true, true, false, [](P, P b) { b.flags = 0x11; }},
    {"syn", true, true, false, [](P, P b) { b.flags = 0x12; }},
    {"rst", true, true, false, [](P, P b) { b.flags = 0x14; }},
    {"urg", true, true, false, [](P, P b) { b.flags = 0x30; }},
    {"ece", true, true, false, [](P, P b) { b.flags = 0x50; }},
    {"cwr", true, true, false, [](P, P b) { b.flags = 0x90; }},
    {"ack_missing", true, true, false, [](P, P b) { b.flags = 0; }},
    {"ece_on_both", false, true, false, [](P a, P b) { a.flags = b.flags = 0x50; }},
    {"fin_on_the_first", true, true, false, [](P a, P) { a.flags = 0x11; }},
    {"psh_on_the_second", true, true, true, [](P, P b) { b.flags = 0x18; }},
    {"psh_on_the_first", true, true, false, [](P a, P) { a.flags = 0x18; }},
    // The kernel's case "data".
    {"shorter_payload", true, true, true, [](P a, P b) { b = a.next(1); }},
    {"longer_payload", true, true, false, [](P a, P b) { b = a.next(101); }},
    {"shorter_payload_of_udp", false, false, true, [](P a, P b) { b = a.next(1); }},
    {"longer_payload_of_udp", true, false, false, [](P a, P b) { b = a.next(101); }},
    {"no_payload_of_the_second", true, true, false, [](P a, P b) { b = a.next(0); }},
    {"no_payload_of_udp", true, false, false, [](P a, P b) { b = a.next(0); }},
    // The kernel's case "ack".
    {"no_payload_of_both", true, true, false,
     [](P a, P b) {
       a.payload.clear();
       b = a.next(0);
     }},
};
INSTANTIATE_TEST_SUITE_P(Coalescer, MergeEachDifference, testing::ValuesIn(differences),
                         [](const auto& each) { return std::string(each.param.name); });

/// What may be wrong in the bytes of two frames that would be merged otherwise.
struct Damage {
  const char* name;
  bool is_v4;
  bool is_tcp;
  std::function<void(Bytes&)> apply;
};

class MergeEachDamage : public testing::TestWithParam<Damage> {};

TEST_P(MergeEachDamage, keeps_frames_apart) {
  const Damage& damage = GetParam();
  const FlowPacket first = packet_of(damage.is_v4, damage.is_tcp);
  for (const auto& [on_first, on_second] : {std::pair(true, false), std::pair(false, true), std::pair(true, true)}) {
    std::vector<Bytes> frames{first.build(), first.next(100).build()};
    if (on_first) damage.apply(frames[0]);
    if (on_second) damage.apply(frames[1]);
    EXPECT_THAT(counts_of(frames), ElementsAre(1, 1)) << on_first << on_second;
  }
}

/// Changes the word at `offset` of an IPv4 header together with the checksum.
void change_ip(Bytes& frame, std::size_t offset, std::uint16_t word) {
  store<Be16>(&frame[offset], word);
  store<Be16>(&frame[10], std::uint16_t{0});
  store<Be16>(&frame[10], PacketBuilder::checksum(ByteView(frame).first(20)));
}

INSTANTIATE_TEST_SUITE_P(
    Coalescer, MergeEachDamage,
    testing::Values(Damage{"ip_checksum", true, true, [](Bytes& frame) { frame[10] ^= std::byte{1}; }},
                    Damage{"ip_checksum_of_udp", true, false, [](Bytes& frame) { frame[11] ^= std::byte{1}; }},
                    Damage{"tcp_checksum", true, true, [](Bytes& frame) { frame[36] ^= std::byte{1}; }},
                    Damage{"tcp6_checksum", false, true, [](Bytes& frame) { frame[56] ^= std::byte{1}; }},
                    Damage{"udp_checksum", true, false, [](Bytes& frame) { frame[26] ^= std::byte{1}; }},
                    Damage{"no_udp_checksum", true, false,
                           [](Bytes& frame) { store<Be16>(&frame[26], std::uint16_t{0}); }},
                    Damage{"more_fragments", true, true, [](Bytes& frame) { change_ip(frame, 6, 0x2000); }},
                    Damage{"fragment_offset", true, false, [](Bytes& frame) { change_ip(frame, 6, 1); }},
                    Damage{"bytes_behind_the_packet", true, true, [](Bytes& frame) { frame.push_back({}); }},
                    Damage{"bytes_behind_an_ipv6_packet", false, true, [](Bytes& frame) { frame.push_back({}); }},
                    Damage{"udp_length", true, false, [](Bytes& frame) { frame[25] ^= std::byte{1}; }},
                    Damage{"data_offset_too_small", true, true, [](Bytes& frame) { frame[32] = std::byte{0x40}; }},
                    Damage{"data_offset_beyond_end", true, true,
                           [](Bytes& frame) {
                             frame.resize(60);
                             frame[32] = std::byte{0xf0};
                             change_ip(frame, 2, 60);
                           }},
                    Damage{"reserved_tcp_bits", true, true, [](Bytes& frame) { frame[32] |= std::byte{1}; }},
                    Damage{"ipv6_fragment", false, true, [](Bytes& frame) { frame[6] = std::byte{44}; }},
                    Damage{"another_protocol", true, true, [](Bytes& frame) { change_ip(frame, 8, 64 << 8 | 132); }},
                    Damage{"neither_version", true, true, [](Bytes& frame) { frame[0] = std::byte{0x55}; }}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(Coalescer, carries_the_push_of_the_last_to_the_head) {
  FlowPacket whole = packet_of(true, true, 250);
  whole.flags = 0x18;
  Batch batch;
  for (const FlowPacket& segment : whole.segments(100)) batch.put(segment);
  batch.flush();
  ASSERT_EQ(batch.out.writes.size(), 1U);
  EXPECT_EQ(batch.out.writes[0].frame, whole.build_partial());
}

TEST(Coalescer, ignores_ids_where_no_fragments_may_be) {
  FlowPacket first = packet_of(true, true);
  FlowPacket second = first.next(100);
  second.id = 5;
  Batch batch;
  batch.put(first);
  batch.put(second);
  batch.flush();
  EXPECT_THAT(batch.counts(), ElementsAre(2));
}

TEST(Coalescer, lets_nothing_follow_a_short_segment) {
  for (const bool is_tcp : {true, false}) {
    const FlowPacket first = packet_of(true, is_tcp);
    const FlowPacket second = first.next(99);
    const FlowPacket third = second.next(99);
    EXPECT_THAT(counts_of({first, second, third, third.next(99)}), ElementsAre(2, 2));
    EXPECT_THAT(counts_of({first, second, third.next(100)}), ElementsAre(2, 1));
  }
}

TEST(Coalescer, lets_nothing_follow_a_push) {
  const FlowPacket first = packet_of(false, true);
  FlowPacket second = first.next(100);
  FlowPacket third = second.next(100);
  second.flags = 0x18;
  EXPECT_THAT(counts_of({first, second, third, third.next(100)}), ElementsAre(2, 2));
}

TEST(Coalescer, stops_a_udp_super_frame_at_what_older_kernels_take) {
  std::vector<FlowPacket> packets{packet_of(true, false, 10)};
  while (packets.size() < 150) packets.push_back(packets.back().next(10));
  EXPECT_THAT(counts_of(packets), ElementsAre(64, 64, 22));
}

TEST(Coalescer, stops_a_tcp_super_frame_at_the_pieces_of_one_write) {
  std::vector<FlowPacket> packets{packet_of(true, true, 10)};
  while (packets.size() < 200) packets.push_back(packets.back().next(10));
  EXPECT_THAT(counts_of(packets), ElementsAre(Coalescer::max_pieces, 200 - Coalescer::max_pieces));
}

/// A frame between two that would be merged otherwise, of the same flow: it is neither overtaken nor overtakes.
TEST(Coalescer, reorders_nothing_around_frames_of_the_flow_that_cannot_be_merged) {
  for (const bool is_v4 : {true, false}) {
    const FlowPacket first = packet_of(is_v4, true);
    const FlowPacket second = first.next(100);
    const FlowPacket third = second.next(100);
    for (const std::uint8_t flags : std::vector<std::uint8_t>{0x10, 0x11, 0x14, 0x02, 0x50}) {
      FlowPacket between = second.next(0);
      between.flags = flags;
      EXPECT_THAT(counts_of({first, second, between, third, third.next(100)}), ElementsAre(2, 1, 2));
    }
  }
}

TEST(Coalescer, reorders_nothing_around_udp_without_checksum) {
  const FlowPacket first = packet_of(true, false);
  const FlowPacket second = first.next(100);
  Bytes between = second.build();
  store<Be16>(&between[26], std::uint16_t{0});
  EXPECT_THAT(counts_of({first.build(), second.build(), between, second.next(100).build()}), ElementsAre(2, 1, 1));
}

TEST(Coalescer, reorders_nothing_around_options_of_ipv4) {
  const FlowPacket first = packet_of(true, true);
  FlowPacket between = first.next(100);
  const FlowPacket last = between.next(100);
  between.ip_options = Bytes(8, std::byte{1});
  EXPECT_THAT(counts_of({first, between, last, last.next(100)}), ElementsAre(1, 1, 2));
}

/// Frames without readable ports between two of `first`'s flow.
void expect_flow_closed(const FlowPacket& first, const Bytes& between) {
  const FlowPacket second = first.next(100);
  EXPECT_THAT(counts_of({first.build(), between, second.build(), second.next(100).build()}), ElementsAre(1, 1, 2));
}

TEST(Coalescer, reorders_nothing_around_fragments) {
  for (const bool is_tcp : {true, false}) {
    FlowPacket fragment = packet_of(true, is_tcp);
    for (const std::uint16_t field : std::vector<std::uint16_t>{0x2000, 0x2010, 0x0010}) {
      fragment.fragment = field;
      expect_flow_closed(packet_of(true, is_tcp), fragment.build());
    }
    fragment = packet_of(false, is_tcp);
    fragment.extensions = Bytes(8);
    fragment.extensions[0] = std::byte{fragment.protocol()};
    fragment.first_extension = 44;
    expect_flow_closed(packet_of(false, is_tcp), fragment.build());
  }
}

TEST(Coalescer, reorders_nothing_around_extension_headers) {
  FlowPacket extended = packet_of(false, true);
  extended.extensions = Bytes(8);
  extended.extensions[0] = std::byte{6};
  expect_flow_closed(packet_of(false, true), extended.build());
}

TEST(Coalescer, reorders_nothing_around_a_cut_transport_header) {
  Bytes cut = packet_of(true, true).build();
  cut.resize(39);
  expect_flow_closed(packet_of(true, true), cut);
}

TEST(Coalescer, merges_past_fragments_between_other_addresses) {
  const FlowPacket first = packet_of(true, true);
  FlowPacket fragment = packet_of(true, true);
  fragment.fragment = 0x2000;
  fragment.source_host = 77;
  Batch batch;
  for (const FlowPacket& packet : {first, fragment, first.next(100)}) batch.put(packet);
  batch.flush();
  EXPECT_THAT(batch.counts(), ElementsAre(2, 1));
}

TEST(Coalescer, merges_flows_that_alternate_and_keeps_their_order_of_arrival) {
  std::vector<FlowPacket> flows;
  for (std::uint16_t port = 1; port <= 4; ++port) {
    flows.push_back(packet_of(port % 2 == 0, true));
    flows.back().source_port = port;
  }
  Batch batch;
  for (int round = 0; round < 5; ++round) {
    for (FlowPacket& flow : flows) {
      batch.put(flow);
      flow = flow.next(100);
    }
  }
  batch.flush();
  EXPECT_THAT(batch.counts(), ElementsAre(5, 5, 5, 5));
  for (std::size_t i = 0; i < 4; ++i) {
    const Bytes& frame = batch.out.writes[i].frame;
    EXPECT_EQ(load<Be16>(&frame[flows[i].transport()]), i + 1);
  }
}

TEST(Coalescer, keeps_each_of_more_flows_than_it_remembers_in_order) {
  std::vector<FlowPacket> packets;
  for (std::uint16_t port = 0; port < 80; ++port) {
    packets.push_back(packet_of(true, true));
    packets.back().source_port = port;
  }
  for (std::size_t i = 0; i < 160; ++i) packets.push_back(packets[i].next(100));
  Batch batch;
  for (const FlowPacket& packet : packets) batch.put(packet);
  batch.flush();
  std::map<std::uint16_t, std::vector<Bytes>> sent;
  std::map<std::uint16_t, std::vector<Bytes>> arrived;
  for (const Bytes& frame : batch.originals) sent[load<Be16>(&frame[20])].push_back(frame);
  for (const Bytes& frame : batch.arrived()) arrived[load<Be16>(&frame[20])].push_back(frame);
  EXPECT_EQ(arrived, sent);
}

TEST(Coalescer, flushes_by_itself_when_it_is_full) {
  Batch batch;
  const Bytes ack = packet_of(true, true, 0).build();
  for (std::size_t i = 0; i < Coalescer::max_frames; ++i) batch.put(ack);
  EXPECT_TRUE(batch.out.writes.empty());
  batch.put(ack);
  EXPECT_EQ(batch.out.writes.size(), Coalescer::max_frames);
  batch.flush();
  EXPECT_EQ(batch.out.writes.size(), Coalescer::max_frames + 1);
}

TEST(Coalescer, merges_nothing_across_a_flush) {
  Batch batch;
  const FlowPacket first = packet_of(true, true);
  batch.put(first);
  batch.flush();
  batch.put(first.next(100));
  batch.flush();
  batch.flush();
  EXPECT_THAT(batch.counts(), ElementsAre(1, 1));
}

TEST(Coalescer, passes_what_is_no_ip_packet) {
  const std::vector<Bytes> frames{Bytes(1), Bytes(19, std::byte{0x45}), Bytes(39, std::byte{0x60}), Bytes(100)};
  Batch batch;
  for (const Bytes& frame : frames) batch.put(frame);
  batch.flush();
  ASSERT_EQ(batch.out.writes.size(), frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) EXPECT_EQ(batch.out.writes[i].frame, frames[i]);
}

class MergeEachEthernetByte : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Coalescer, MergeEachEthernetByte, testing::Values(14, 18, 22));

TEST_P(MergeEachEthernetByte, is_equal_in_frames_that_are_merged) {
  FlowPacket first = packet_of(true, true);
  first.l2 = FlowPacket::ethernet(GetParam(), true);
  for (std::size_t i = 0; i < GetParam(); ++i) {
    FlowPacket second = first.next(100);
    second.l2[i] ^= std::byte{1};
    EXPECT_THAT(counts_of({first, second}, {.is_ethernet = true}), ElementsAre(1, 1)) << i;
  }
}

TEST_P(MergeEachEthernetByte, announces_the_family_that_is_merged) {
  FlowPacket first = packet_of(true, true);
  for (std::size_t i = 12; i < GetParam(); i += 4) {
    first.l2 = FlowPacket::ethernet(GetParam(), true);
    store<Be16>(&first.l2[i], std::uint16_t{0x88b5});
    EXPECT_THAT(counts_of({first, first.next(100)}, {.is_ethernet = true}), ElementsAre(1, 1)) << i;
  }
  first.l2 = FlowPacket::ethernet(GetParam(), false);
  EXPECT_THAT(counts_of({first, first.next(100)}, {.is_ethernet = true}), ElementsAre(1, 1));
}

/// Some flows that send runs of segments, single frames, repetitions and broken ones, in random order.
class RandomFlows {
 public:
  explicit RandomFlows(std::uint64_t seed, std::size_t l2_length) : random_(seed) {
    for (std::uint16_t i = 0; i < 6; ++i) {
      FlowPacket flow = packet_of(i % 2 == 0, i % 3 != 0, 0);
      flow.l2 = FlowPacket::ethernet(l2_length, flow.is_v4);
      flow.source_port = i;
      flow.fragment = below(2) == 0 ? 0x4000 : 0;
      flow.sequence = static_cast<std::uint32_t>(0U - below(5000));
      flow.id = static_cast<std::uint16_t>(0U - below(20));
      flow.tcp_options = FlowPacket::bytes(4 * below(11));
      flows_.push_back(flow);
    }
  }

  Bytes next() {
    FlowPacket& flow = flows_[below(below(2) == 0 ? 2 : flows_.size())];
    static constexpr std::uint16_t sizes[] = {0, 1, 3, 40, 900, 1360};
    const std::size_t size = below(5) == 0 ? sizes[below(6)] : 1360;
    flow = flow.next(size);
    switch (below(60)) {
      case 0:
        ++flow.acknowledgement;
        break;
      case 1:
        ++flow.window;
        break;
      case 2:
        flow.traffic_class ^= 3;
        break;
      case 3:
        flow.sequence -= 1360;
        break;
      case 4:
        flow.id = static_cast<std::uint16_t>(flow.id + (flow.fragment == 0 ? 7 : 0));
        break;
      default:
        break;
    }
    FlowPacket sent = flow;
    if (below(12) == 0) sent.flags |= 0x08;
    if (below(40) == 0) sent.flags |= 0x01;
    Bytes frame = sent.build();
    // Behind the ports: a frame that changes its flow would leave a gap of IDs, which is no matter without fragments.
    const std::size_t start = sent.transport() + 4;
    if (below(40) == 0) frame[start + below(frame.size() - start)] ^= std::byte{0x10};
    return frame;
  }

  std::size_t below(std::size_t bound) {
    std::array<std::byte, 4> bytes{};
    random_.fill(bytes);
    return load<Le32>(bytes.data()) % bound;
  }

 private:
  SeededRandom random_;
  std::vector<FlowPacket> flows_;
};

/// Frames by addresses and ports as they lie in the frame, each list in its order.
std::map<std::string, std::vector<Bytes>> by_flow(const std::vector<Bytes>& frames, std::size_t l2_length) {
  std::map<std::string, std::vector<Bytes>> flows;
  for (const Bytes& frame : frames) {
    const bool is_v4 = (frame[l2_length] >> 4) == std::byte{4};
    const ByteView key = ByteView(frame).subspan(l2_length + (is_v4 ? 12 : 8), is_v4 ? 12 : 36);
    flows[std::string(reinterpret_cast<const char*>(key.data()), key.size())].push_back(frame);
  }
  return flows;
}

TEST(Coalescer, of_random_flows_gives_back_every_byte_in_order_when_segmented) {
  for (const std::size_t l2_length : std::vector<std::size_t>{0, 14}) {
    for (std::uint64_t seed = 1; seed <= 150; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " l2 " + std::to_string(l2_length));
      RandomFlows flows(seed, l2_length);
      Batch batch({.is_ethernet = l2_length != 0});
      for (std::size_t frames = flows.below(400); frames > 0; --frames) {
        batch.put(flows.next());
        if (flows.below(200) == 0) batch.flush();
      }
      batch.flush();
      ASSERT_EQ(by_flow(batch.arrived(), l2_length), by_flow(batch.originals, l2_length));
      if (batch.originals.size() > 50) {
        ASSERT_LT(batch.out.writes.size(), batch.originals.size());
      }
    }
  }
}

TEST(Coalescer, of_what_was_segmented_gives_back_the_super_frame) {
  SeededRandom random(1);
  for (int round = 0; round < 200; ++round) {
    std::array<std::byte, 8> bytes{};
    random.fill(bytes);
    FlowPacket whole = packet_of((bytes[0] & std::byte{1}) == std::byte{0}, (bytes[0] & std::byte{2}) == std::byte{0});
    const std::size_t gso_size = 1 + load<Le16>(&bytes[1]) % 1400U;
    const std::size_t segments = 2 + std::to_integer<std::size_t>(bytes[3]) % 45;
    whole.payload = FlowPacket::bytes(gso_size * (segments - 1) + 1 + load<Le16>(&bytes[4]) % gso_size);
    if (whole.payload.size() > 65000) continue;
    if ((bytes[6] & std::byte{1}) != std::byte{0}) whole.flags |= 0x08;
    Batch batch;
    for (const Bytes& frame : GatheredFrames::segmented({whole.super_header(gso_size), 1, whole.build_partial()}, 0)) {
      batch.put(frame);
    }
    batch.flush();
    ASSERT_EQ(batch.out.writes.size(), 1U);
    EXPECT_EQ(batch.out.writes[0].header, whole.super_header(gso_size));
    EXPECT_EQ(batch.out.writes[0].frame, whole.build_partial());
  }
}

}  // namespace
}  // namespace culvert
