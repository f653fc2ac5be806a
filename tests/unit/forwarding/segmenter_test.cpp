// Segments against packets built one by one, and each thing that a super-frame may not say.
#include "culvert/forwarding/segmenter.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "support/flow_packet.hpp"

namespace culvert {
namespace {

using Bytes = std::vector<std::byte>;
using Sizes = std::vector<std::size_t>;

std::vector<Bytes> built(const std::vector<FlowPacket>& packets) {
  std::vector<Bytes> frames;
  for (const FlowPacket& packet : packets) frames.push_back(packet.build());
  return frames;
}

/// What `segmenter` yields, spoiled as soon as it is copied: as by a caller who encrypts in place.
std::vector<Bytes> yielded(Segmenter& segmenter) {
  std::vector<Bytes> frames;
  for (ByteSpan frame = segmenter.next(); !frame.empty(); frame = segmenter.next()) {
    frames.emplace_back(frame.begin(), frame.end());
    std::fill(frame.begin(), frame.end(), std::byte{0xee});
  }
  return frames;
}

std::vector<Bytes> segmented(const VirtioNetHeader& header, Bytes frame, std::size_t l2_length = 0) {
  Segmenter segmenter;
  const auto verdict = segmenter.begin(header, frame, l2_length);
  EXPECT_TRUE(verdict.has_value()) << to_string(verdict.error());
  const std::size_t count = segmenter.count();
  std::vector<Bytes> frames = yielded(segmenter);
  EXPECT_EQ(frames.size(), count);
  return frames;
}

std::vector<Bytes> segmented(const FlowPacket& packet, std::size_t gso_size) {
  return segmented(packet.super_header(gso_size), packet.build_partial(), packet.l2.size());
}

void expect_refused(const VirtioNetHeader& header, Bytes frame, DropReason reason, std::size_t l2_length = 0) {
  Segmenter segmenter;
  const auto verdict = segmenter.begin(header, frame, l2_length);
  ASSERT_TRUE(verdict.has_error());
  EXPECT_EQ(to_string(verdict.error()), to_string(reason));
  EXPECT_EQ(segmenter.count(), 0U);
  EXPECT_TRUE(segmenter.next().empty());
}

FlowPacket packet_of(bool is_v4, bool is_tcp, std::size_t payload, std::size_t l2_length = 0) {
  return {.is_v4 = is_v4,
          .is_tcp = is_tcp,
          .l2 = FlowPacket::ethernet(l2_length, is_v4),
          .payload = FlowPacket::bytes(payload)};
}

class SegmentEachKind : public testing::TestWithParam<std::tuple<bool, bool, std::size_t>> {
 protected:
  [[nodiscard]] FlowPacket packet(std::size_t payload) const {
    const auto [is_v4, is_tcp, l2_length] = GetParam();
    return packet_of(is_v4, is_tcp, payload, l2_length);
  }
};

INSTANTIATE_TEST_SUITE_P(Segmenter, SegmentEachKind,
                         testing::Combine(testing::Bool(), testing::Bool(), testing::Values(0, 14, 18, 22)),
                         [](const auto& each) {
                           return std::string(std::get<0>(each.param) ? "v4" : "v6") +
                                  (std::get<1>(each.param) ? "_tcp_" : "_udp_") +
                                  std::to_string(std::get<2>(each.param));
                         });

TEST_P(SegmentEachKind, yields_what_the_super_frame_stands_for) {
  for (const std::size_t payload : Sizes{0, 1, 99, 100, 101, 200, 1999, 2000, 2001}) {
    for (const std::size_t gso_size : Sizes{1, 2, 7, 20, 39, 48, 100, 536, 1360}) {
      const FlowPacket whole = packet(payload);
      ASSERT_EQ(segmented(whole, gso_size), built(whole.segments(gso_size))) << payload << " " << gso_size;
    }
  }
}

TEST_P(SegmentEachKind, yields_the_largest_super_frame) {
  FlowPacket whole = packet(0);
  whole.payload = FlowPacket::bytes(65535 - whole.header_size());
  const std::vector<Bytes> frames = segmented(whole, 1360);
  EXPECT_EQ(frames, built(whole.segments(1360)));
}

TEST_P(SegmentEachKind, cuts_tcp_smaller_for_a_path_that_carries_less) {
  for (const bool has_yielded : {false, true}) {
    for (const std::size_t payload : Sizes{1361, 1400, 2720, 20000}) {
      const FlowPacket whole = packet(payload);
      const std::size_t smaller = 1180;
      Bytes frame = whole.build_partial();
      Segmenter segmenter;
      ASSERT_TRUE(segmenter.begin(whole.super_header(1360), frame, whole.l2.size()));
      if (has_yielded) {
        ASSERT_EQ(segmenter.next().size(), whole.header_size() + 1360);
      }
      ASSERT_EQ(segmenter.cut_to(whole.header_size() + smaller), whole.is_tcp);
      if (!whole.is_tcp) continue;
      const std::vector<Bytes> expected = built(whole.segments(smaller));
      EXPECT_EQ(segmenter.count(), expected.size());
      std::size_t bytes = 0;
      for (const Bytes& each : expected) bytes += each.size();
      EXPECT_EQ(segmenter.size(), bytes);
      EXPECT_EQ(yielded(segmenter), expected) << payload << has_yielded;
    }
  }
}

TEST_P(SegmentEachKind, never_makes_larger_frames_than_the_kernel_wants) {
  const FlowPacket whole = packet(3000);
  Bytes frame = whole.build_partial();
  Segmenter segmenter;
  ASSERT_TRUE(segmenter.begin(whole.super_header(1000), frame, whole.l2.size()));
  EXPECT_EQ(segmenter.cut_to(5000), whole.is_tcp);
  EXPECT_EQ(yielded(segmenter), built(whole.segments(1000)));
}

TEST_P(SegmentEachKind, is_not_cut_where_the_headers_leave_no_room) {
  const FlowPacket whole = packet(3000);
  Bytes frame = whole.build_partial();
  Segmenter segmenter;
  ASSERT_TRUE(segmenter.begin(whole.super_header(1000), frame, whole.l2.size()));
  EXPECT_FALSE(segmenter.cut_to(whole.header_size()));
  EXPECT_EQ(yielded(segmenter), built(whole.segments(1000)));
}

TEST_P(SegmentEachKind, a_single_frame_is_not_cut) {
  const FlowPacket whole = packet(1400);
  Bytes frame = whole.build();
  Segmenter segmenter;
  ASSERT_TRUE(segmenter.begin({}, frame, whole.l2.size()));
  EXPECT_FALSE(segmenter.cut_to(1280));
  EXPECT_EQ(yielded(segmenter), std::vector<Bytes>{whole.build()});
}

TEST_P(SegmentEachKind, yields_a_frame_without_offload_as_it_is) {
  const FlowPacket whole = packet(500);
  EXPECT_EQ(segmented({}, whole.build(), whole.l2.size()), std::vector<Bytes>{whole.build()});
}

TEST_P(SegmentEachKind, completes_the_checksum_of_a_single_frame) {
  for (const std::size_t payload : Sizes{0, 1, 500, 1401}) {
    const FlowPacket whole = packet(payload);
    EXPECT_EQ(segmented(whole.partial_header(), whole.build_partial(), whole.l2.size()),
              std::vector<Bytes>{whole.build()});
  }
}

TEST_P(SegmentEachKind, does_not_believe_the_header_length) {
  const FlowPacket whole = packet(300);
  VirtioNetHeader header = whole.super_header(100);
  for (const std::uint16_t length : std::vector<std::uint16_t>{0, 1, 340, 65535}) {
    header.header_length = length;
    EXPECT_EQ(segmented(header, whole.build_partial(), whole.l2.size()), built(whole.segments(100)));
  }
}

TEST(Segmenter, clears_fin_and_psh_but_on_the_last_and_cwr_but_on_the_first) {
  FlowPacket whole = packet_of(true, true, 30);
  whole.flags = 0xff;
  whole.urgent_pointer = 3;
  VirtioNetHeader header = whole.super_header(10);
  header.gso_type |= virtio_net::gso_ecn;
  const std::vector<Bytes> frames = segmented(header, whole.build_partial());
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[0][33], std::byte{0xf6});
  EXPECT_EQ(frames[1][33], std::byte{0x76});
  EXPECT_EQ(frames[2][33], std::byte{0x7f});
  EXPECT_EQ(frames, built(whole.segments(10)));
}

TEST(Segmenter, lets_sequence_and_id_wrap) {
  FlowPacket whole = packet_of(true, true, 50);
  whole.sequence = 0xfffffff0;
  whole.id = 0xffff;
  EXPECT_EQ(segmented(whole, 10), built(whole.segments(10)));
}

TEST(Segmenter, keeps_options_of_both_headers) {
  FlowPacket whole = packet_of(true, true, 50);
  whole.ip_options = FlowPacket::bytes(40, 5);
  whole.tcp_options = FlowPacket::bytes(40, 6);
  EXPECT_EQ(segmented(whole, 10), built(whole.segments(10)));
}

TEST(Segmenter, keeps_extension_headers) {
  FlowPacket whole = packet_of(false, true, 50);
  whole.extensions = FlowPacket::bytes(24, 5);
  whole.extensions[0] = std::byte{43};
  whole.extensions[1] = std::byte{0};
  whole.extensions[8] = std::byte{6};
  whole.extensions[9] = std::byte{1};
  for (const std::uint8_t first : std::vector<std::uint8_t>{0, 43, 60}) {
    whole.first_extension = first;
    EXPECT_EQ(segmented(whole, 10), built(whole.segments(10)));
  }
}

TEST(Segmenter, keeps_the_destination_of_a_routing_header_in_the_checksum) {
  // The pseudo-header is that of the final destination (RFC 8200, section 8.1), which only the kernel's sum knows.
  FlowPacket whole = packet_of(false, false, 30);
  Bytes frame = whole.build_partial();
  const std::uint16_t sum = load<Be16>(&frame[46]);
  store<Be16>(&frame[46], static_cast<std::uint16_t>(sum + 5));
  for (const Bytes& segment : segmented(whole.super_header(10), frame)) {
    Bytes plain = segment;
    plain[39] = std::byte{7};
    EXPECT_EQ(PacketBuilder::checksum(ByteView(plain).subspan(40), 2 * 0xfd00 + 1 + 7 + 17 + 18), 0);
  }
}

TEST(Segmenter, gives_no_udp_datagram_a_checksum_of_zero) {
  for (const bool is_v4 : {true, false}) {
    FlowPacket whole = packet_of(is_v4, false, 4);
    whole.payload.assign(4, std::byte{0});
    // With its own checksum as payload the sum is that of a datagram with checksum zero.
    const Bytes first = whole.segments(2)[0].build();
    copy_bytes(ByteView(first).subspan(whole.checksum_field(), 2), whole.payload);
    const std::vector<Bytes> frames = segmented(whole, 2);
    EXPECT_EQ(load<Be16>(&frames[0][whole.checksum_field()]), 0xffff);

    FlowPacket single = whole.segments(2)[0];
    const std::vector<Bytes> one = segmented(single.partial_header(), single.build_partial());
    EXPECT_EQ(load<Be16>(&one[0][whole.checksum_field()]), 0xffff);
  }
}

TEST(Segmenter, completes_a_checksum_further_inside) {
  FlowPacket inner = packet_of(true, true, 40);
  FlowPacket outer = packet_of(true, false, 0);
  outer.payload = inner.build_partial();
  VirtioNetHeader header = inner.partial_header();
  header.checksum_start = static_cast<std::uint16_t>(header.checksum_start + outer.header_size());
  const std::vector<Bytes> frames = segmented(header, outer.build());
  EXPECT_TRUE(std::ranges::equal(ByteView(frames[0]).subspan(outer.header_size()), inner.build()));
}

TEST(Segmenter, serves_one_super_frame_after_the_other) {
  Segmenter segmenter;
  Bytes refused = packet_of(true, true, 30).build_partial();
  EXPECT_TRUE(segmenter.begin({.gso_type = 99}, refused, 0).has_error());
  for (const bool is_tcp : {true, false}) {
    FlowPacket whole = packet_of(is_tcp, is_tcp, 100);
    Bytes frame = whole.build_partial();
    ASSERT_TRUE(segmenter.begin(whole.super_header(30), frame, 0).has_value());
    (void)segmenter.next();
    frame = whole.build_partial();
    ASSERT_TRUE(segmenter.begin(whole.super_header(40), frame, 0).has_value());
    EXPECT_EQ(yielded(segmenter), built(whole.segments(40)));
    EXPECT_TRUE(segmenter.next().empty());
  }
}

TEST(SegmenterRefuses, a_frame_that_ends_in_its_layer_2_header) {
  expect_refused({}, Bytes(13), DropReason::FrameHeader, 14);
  expect_refused({}, {}, DropReason::FrameHeader);
}

TEST(SegmenterRefuses, a_super_frame_that_ends_behind_its_layer_2_header) {
  const VirtioNetHeader header{
      .flags = virtio_net::needs_checksum, .gso_type = virtio_net::gso_tcp4, .gso_size = 100, .checksum_start = 34};
  expect_refused(header, Bytes(14), DropReason::FrameHeader, 14);
  // By itself it is a frame: there is nothing in it.
  EXPECT_EQ(segmented({}, Bytes(14), 14), std::vector<Bytes>{Bytes(14)});
}

TEST(SegmenterRefuses, a_checksum_outside_of_a_single_frame) {
  const FlowPacket packet = packet_of(true, false, 2, 14);
  const Bytes frame = packet.build_partial();
  VirtioNetHeader header = packet.partial_header();
  header.checksum_start = 13;
  expect_refused(header, frame, DropReason::OffloadHeader, 14);
  header.checksum_start = static_cast<std::uint16_t>(frame.size() - 7);
  expect_refused(header, frame, DropReason::OffloadHeader, 14);
  header.checksum_start = 65535;
  header.checksum_offset = 65535;
  expect_refused(header, frame, DropReason::OffloadHeader, 14);
}

/// One thing wrong with a super-frame.
struct Flaw {
  const char* name;
  DropReason reason;
  bool is_v4;
  bool is_tcp;
  std::function<void(VirtioNetHeader&, Bytes&)> apply;
};

class SegmentEachFlaw : public testing::TestWithParam<Flaw> {};

TEST_P(SegmentEachFlaw, is_refused) {
  const Flaw& flaw = GetParam();
  const FlowPacket whole = packet_of(flaw.is_v4, flaw.is_tcp, 100);
  VirtioNetHeader header = whole.super_header(40);
  Bytes frame = whole.build_partial();
  EXPECT_EQ(segmented(header, frame).size(), 3U);
  flaw.apply(header, frame);
  expect_refused(header, frame, flaw.reason);
}

constexpr auto offload = DropReason::OffloadHeader;
constexpr auto in_frame = DropReason::FrameHeader;
void no_checksum_asked(VirtioNetHeader& header, Bytes&) {
  header.flags = 0;
}
void no_gso_size(VirtioNetHeader& header, Bytes&) {
  header.gso_size = 0;
}
void next_start(VirtioNetHeader& header, Bytes&) {
  ++header.checksum_start;
}
void previous_start(VirtioNetHeader& header, Bytes&) {
  --header.checksum_start;
}
void next_offset(VirtioNetHeader& header, Bytes&) {
  header.checksum_offset = static_cast<std::uint16_t>(header.checksum_offset + 2);
}
void wrong_version(VirtioNetHeader&, Bytes& frame) {
  frame[0] = std::byte{0x55};
}
void other_protocol(VirtioNetHeader&, Bytes& frame) {
  frame[(frame[0] >> 4) == std::byte{4} ? 9 : 6] = std::byte{132};
}
void shorter(VirtioNetHeader&, Bytes& frame) {
  frame.pop_back();
}
void longer(VirtioNetHeader&, Bytes& frame) {
  frame.push_back({});
}
template <std::uint8_t Type>
void type(VirtioNetHeader& header, Bytes&) {
  header.gso_type = Type;
}
template <std::size_t Size>
void cut(VirtioNetHeader&, Bytes& frame) {
  frame.resize(Size);
}
template <std::size_t At, std::uint8_t Value>
void byte(VirtioNetHeader&, Bytes& frame) {
  frame[At] = std::byte{Value};
}
/// Ends the frame after `Size` bytes and lets the IP header say so.
template <std::size_t Size>
void end(VirtioNetHeader&, Bytes& frame) {
  frame.resize(Size);
  const bool is_v4 = (frame[0] >> 4) == std::byte{4};
  store<Be16>(&frame[is_v4 ? 2 : 4], static_cast<std::uint16_t>(is_v4 ? Size : Size - 40));
}

INSTANTIATE_TEST_SUITE_P(
    SegmenterRefuses, SegmentEachFlaw,
    testing::Values(
        Flaw{"no_request_for_checksums", offload, true, true, no_checksum_asked},
        Flaw{"no_request_for_udp_checksums", offload, false, false, no_checksum_asked},
        Flaw{"no_segment_size", offload, true, true, no_gso_size},
        Flaw{"tcp6_type_on_ipv4", offload, true, true, type<virtio_net::gso_tcp6>},
        Flaw{"tcp4_type_on_ipv6", offload, false, true, type<virtio_net::gso_tcp4>},
        Flaw{"udp_type_on_tcp", offload, true, true, type<virtio_net::gso_udp_l4>},
        Flaw{"udp_type_on_tcp6", offload, false, true, type<virtio_net::gso_udp_l4>},
        Flaw{"tcp_type_on_udp", offload, true, false, type<virtio_net::gso_tcp4>},
        Flaw{"tcp_type_on_udp6", offload, false, false, type<virtio_net::gso_tcp6>},
        Flaw{"ufo", offload, true, false, type<3>}, Flaw{"type_two", offload, true, true, type<2>},
        Flaw{"ecn_with_udp", offload, true, false, type<0x85>}, Flaw{"ecn_alone", offload, true, true, type<0x80>},
        Flaw{"tunnel", offload, true, true, type<0x21>}, Flaw{"accurate_ecn", offload, true, true, type<0x11>},
        Flaw{"neither_version", in_frame, true, true, wrong_version},
        Flaw{"another_protocol", offload, true, true, other_protocol},
        Flaw{"another_next_header", offload, false, true, other_protocol},
        Flaw{"a_byte_missing", in_frame, true, true, shorter}, Flaw{"a_byte_too_many", in_frame, true, true, longer},
        Flaw{"a_byte_missing_in_ipv6", in_frame, false, true, shorter},
        Flaw{"a_byte_too_many_in_ipv6", in_frame, false, true, longer},
        Flaw{"ipv4_header_cut", in_frame, true, true, cut<19>}, Flaw{"ipv6_header_cut", in_frame, false, true, cut<39>},
        Flaw{"ihl_too_small", in_frame, true, true, byte<0, 0x44>},
        Flaw{"ihl_beyond_start", offload, true, true, byte<0, 0x46>},
        Flaw{"more_fragments", in_frame, true, true, byte<6, 0x20>},
        Flaw{"fragment_offset", in_frame, true, true, byte<7, 0x01>},
        Flaw{"ipv6_fragment", offload, false, true, byte<6, 44>},
        Flaw{"extension_beyond_end", in_frame, false, true,
             [](VirtioNetHeader& header, Bytes& frame) {
               byte<6, 60>(header, frame);
               end<47>(header, frame);
             }},
        Flaw{"checksum_start_too_late", offload, true, true, next_start},
        Flaw{"checksum_start_too_early", offload, false, true, previous_start},
        Flaw{"checksum_elsewhere_in_tcp", offload, true, true, next_offset},
        Flaw{"checksum_elsewhere_in_udp", offload, false, false, next_offset},
        Flaw{"tcp_header_cut", offload, true, true, end<39>}, Flaw{"udp_header_cut", offload, true, false, end<27>},
        Flaw{"data_offset_too_small", offload, true, true, byte<32, 0x40>},
        Flaw{"options_beyond_end", offload, true, true,
             [](VirtioNetHeader& header, Bytes& frame) {
               byte<32, 0x60>(header, frame);
               end<43>(header, frame);
             }},
        Flaw{"udp_length_too_small", offload, true, false, byte<25, 107>},
        Flaw{"udp_length_too_large", offload, true, false, byte<25, 109>}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(SegmenterRefuses, headers_longer_than_it_can_set_aside) {
  FlowPacket whole = packet_of(false, true, 300);
  for (const std::size_t size : Sizes{192, 200, 248}) {
    whole.extensions.assign(size, std::byte{0});
    whole.extensions[0] = std::byte{6};
    whole.extensions[1] = static_cast<std::byte>(size / 8 - 1);
    if (whole.header_size() <= Segmenter::max_header_length) {
      EXPECT_EQ(segmented(whole, 10), built(whole.segments(10)));
    } else {
      expect_refused(whole.super_header(10), whole.build_partial(), DropReason::OffloadHeader);
    }
  }
}

TEST(SegmenterRefuses, endless_extension_headers) {
  FlowPacket whole = packet_of(false, true, 8000);
  whole.extensions.assign(4000, std::byte{0});
  for (std::size_t i = 0; i < whole.extensions.size(); i += 8) whole.extensions[i] = std::byte{60};
  expect_refused(whole.super_header(10), whole.build_partial(), DropReason::OffloadHeader);
}

}  // namespace
}  // namespace culvert
