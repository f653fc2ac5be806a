// The Internet checksum against the plainest way to compute it.
#include "culvert/forwarding/checksum.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/flow_packet.hpp"

namespace culvert {
namespace {

using Bytes = std::vector<std::byte>;

std::uint16_t checksum_of(ByteView bytes) {
  InternetSum sum;
  sum.add(bytes);
  return sum.checksum();
}

TEST(InternetSum, is_that_of_the_example_of_rfc_1071) {
  // Section 3.
  const Bytes bytes{std::byte{0x00}, std::byte{0x01}, std::byte{0xf2}, std::byte{0x03},
                    std::byte{0xf4}, std::byte{0xf5}, std::byte{0xf6}, std::byte{0xf7}};
  InternetSum sum;
  sum.add(bytes);
  EXPECT_EQ(sum.folded(), 0xddf2);
  EXPECT_EQ(sum.checksum(), 0x220d);
}

TEST(InternetSum, is_right_for_every_length_and_alignment) {
  const Bytes bytes = FlowPacket::bytes(400);
  for (std::size_t start = 0; start < 4; ++start) {
    for (std::size_t size = 0; start + size <= bytes.size(); ++size) {
      const ByteView part = ByteView(bytes).subspan(start, size);
      ASSERT_EQ(checksum_of(part), PacketBuilder::checksum(part)) << start << " " << size;
    }
  }
}

TEST(InternetSum, loses_no_carry_in_the_longest_packet) {
  const Bytes ones(65535, std::byte{0xff});
  EXPECT_EQ(checksum_of(ones), PacketBuilder::checksum(ones));
  InternetSum sum;
  for (int i = 0; i < 1000; ++i) sum.add(ByteView(ones).first(65534));
  EXPECT_EQ(sum.folded(), 0xffff);
}

TEST(InternetSum, of_parts_is_that_of_the_whole) {
  const Bytes bytes = FlowPacket::bytes(301);
  InternetSum sum;
  sum.add(ByteView(bytes).subspan(128));
  sum.add(load<Be32>(bytes.data()) + std::uint32_t{0});
  sum.add(static_cast<std::uint16_t>(load<Be16>(&bytes[4])));
  sum.add(ByteView(bytes).subspan(6, 122));
  EXPECT_EQ(sum.checksum(), PacketBuilder::checksum(bytes));
}

TEST(InternetSum, takes_a_word_out_again) {
  InternetSum sum;
  sum.add(std::uint16_t{0x1234});
  sum.add(std::uint16_t{0xfff0});
  sum.subtract(std::uint16_t{0xfff0});
  EXPECT_EQ(sum.folded(), 0x1234);
}

TEST(InternetSum, of_udp_is_never_zero) {
  InternetSum sum;
  sum.add(std::uint16_t{0xffff});
  EXPECT_EQ(sum.checksum(), 0);
  EXPECT_EQ(sum.udp_checksum(), 0xffff);
  sum.add(std::uint16_t{1});
  EXPECT_EQ(sum.udp_checksum(), sum.checksum());
}

TEST(PseudoHeaderSum, completes_packets_of_both_families) {
  for (const bool is_v4 : {true, false}) {
    for (const bool is_tcp : {true, false}) {
      FlowPacket packet{.is_v4 = is_v4, .is_tcp = is_tcp, .payload = FlowPacket::bytes(101)};
      const Bytes frame = packet.build();
      const ByteView segment = ByteView(frame).subspan(packet.transport());
      const ByteView addresses = is_v4 ? ByteView(frame).subspan(12, 8) : ByteView(frame).subspan(8, 32);
      InternetSum sum = pseudo_header_sum(addresses, packet.protocol(), static_cast<std::uint32_t>(segment.size()));
      EXPECT_EQ(sum.folded(), load<Be16>(&packet.build_partial()[packet.checksum_field()]));
      sum.add(segment);
      EXPECT_EQ(sum.folded(), 0xffff);
    }
  }
}

}  // namespace
}  // namespace culvert
