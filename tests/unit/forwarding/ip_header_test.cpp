// The checks on inner packets and the merging of congestion marks.
#include "culvert/forwarding/ip_header.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "culvert/base/endian.hpp"

namespace culvert {
namespace {

using Bytes = std::vector<std::byte>;

/// The checksum of an IPv4 header as RFC 791 defines it, computed from scratch; 0 for a header that holds a right one.
std::uint16_t full_checksum(ByteView header) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < header.size(); i += 2) sum += load<Be16>(&header[i]);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

Bytes v4_packet(std::size_t total_length = 28, std::uint8_t traffic_class = 0, std::size_t header_length = 20) {
  Bytes packet(std::max(total_length, std::size_t{20}));
  packet[0] = static_cast<std::byte>(0x40 | (header_length / 4));
  packet[1] = std::byte{traffic_class};
  store<Be16>(&packet[2], static_cast<std::uint16_t>(total_length));
  packet[8] = std::byte{64};
  packet[9] = std::byte{17};
  copy_bytes(Address::parse("10.1.2.3")->bytes(), ByteSpan(packet).subspan(12, 4));
  copy_bytes(Address::parse("192.0.2.200")->bytes(), ByteSpan(packet).subspan(16, 4));
  store<Be16>(&packet[10], full_checksum(ByteView(packet).first(20)));
  return packet;
}

Bytes v6_packet(std::size_t payload_length = 8, std::uint8_t traffic_class = 0) {
  Bytes packet(40 + payload_length);
  store<Be32>(packet.data(), 0x60000000U | std::uint32_t{traffic_class} << 20 | 0xabcdeU);
  store<Be16>(&packet[4], static_cast<std::uint16_t>(payload_length));
  copy_bytes(Address::parse("2001:db8::1")->bytes(), ByteSpan(packet).subspan(8, 16));
  copy_bytes(Address::parse("fd00::2:3")->bytes(), ByteSpan(packet).subspan(24, 16));
  return packet;
}

void expect_refused(ByteView packet) {
  const auto header = parse_ip_header(packet);
  ASSERT_TRUE(header.has_error());
  EXPECT_EQ(header.error(), DropReason::FrameHeader);
}

TEST(ParseIpHeader, reads_the_facts_of_an_ipv4_packet) {
  const auto header = parse_ip_header(v4_packet(28, 0xb9));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->source, Address::parse("10.1.2.3"));
  EXPECT_EQ(header->destination, Address::parse("192.0.2.200"));
  EXPECT_EQ(header->length, 28U);
  EXPECT_EQ(header->traffic_class, 0xb9);
}

TEST(ParseIpHeader, reads_the_facts_of_an_ipv6_packet) {
  const auto header = parse_ip_header(v6_packet(8, 0xb9));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->source, Address::parse("2001:db8::1"));
  EXPECT_EQ(header->destination, Address::parse("fd00::2:3"));
  EXPECT_EQ(header->length, 48U);
  EXPECT_EQ(header->traffic_class, 0xb9);
}

TEST(ParseIpHeader, takes_padding_behind_the_packet_as_no_part_of_it) {
  Bytes v4 = v4_packet(21);
  v4.resize(32);
  EXPECT_EQ(parse_ip_header(v4)->length, 21U);
  Bytes v6 = v6_packet(1);
  v6.resize(48);
  EXPECT_EQ(parse_ip_header(v6)->length, 41U);
}

TEST(ParseIpHeader, takes_packets_of_nothing_but_a_header) {
  EXPECT_EQ(parse_ip_header(v4_packet(20))->length, 20U);
  EXPECT_EQ(parse_ip_header(v6_packet(0))->length, 40U);
}

TEST(ParseIpHeader, takes_ipv4_options) {
  EXPECT_EQ(parse_ip_header(v4_packet(60, 0, 60))->length, 60U);
}

TEST(ParseIpHeader, takes_the_largest_packets) {
  EXPECT_EQ(parse_ip_header(v4_packet(65535))->length, 65535U);
  EXPECT_EQ(parse_ip_header(v6_packet(65535))->length, 65575U);
}

TEST(ParseIpHeader, refuses_nothing) {
  expect_refused({});
}

TEST(ParseIpHeader, refuses_every_other_version) {
  for (unsigned version = 0; version < 16; ++version) {
    if (version == 4 || version == 6) continue;
    Bytes packet = v6_packet();
    packet[0] = static_cast<std::byte>(version << 4 | 5);
    expect_refused(packet);
  }
}

TEST(ParseIpHeader, refuses_what_is_shorter_than_the_fixed_header) {
  const Bytes v4 = v4_packet(20);
  for (std::size_t size = 1; size < 20; ++size) expect_refused(Bytes(v4.begin(), v4.begin() + std::ptrdiff_t(size)));
  const Bytes v6 = v6_packet(0);
  for (std::size_t size = 1; size < 40; ++size) expect_refused(Bytes(v6.begin(), v6.begin() + std::ptrdiff_t(size)));
}

TEST(ParseIpHeader, refuses_an_ipv4_header_length_below_its_fixed_part) {
  expect_refused(v4_packet(28, 0, 16));
}

TEST(ParseIpHeader, refuses_an_ipv4_total_length_below_its_header) {
  Bytes packet = v4_packet(28);
  store<Be16>(&packet[2], std::uint16_t{19});
  expect_refused(packet);
  packet = v4_packet(28, 0, 24);
  store<Be16>(&packet[2], std::uint16_t{23});
  expect_refused(packet);
}

TEST(ParseIpHeader, refuses_lengths_beyond_the_bytes_that_came) {
  Bytes v4 = v4_packet(28);
  v4.pop_back();
  expect_refused(v4);
  Bytes v6 = v6_packet(8);
  v6.pop_back();
  expect_refused(v6);
}

TEST(ParseIpHeader, does_not_wrap_an_ipv6_length_around_16_bits) {
  Bytes packet = v6_packet(0);
  for (const unsigned length : {0xffd8U, 0xffd9U, 0xffffU}) {
    store<Be16>(&packet[4], static_cast<std::uint16_t>(length));
    expect_refused(packet);
  }
}

// RFC 6040, figure 4: rows are the inner mark, columns the outer one.
constexpr std::uint8_t not_ect = 0, ect1 = 1, ect0 = 2, ce = 3, drop = 255;
struct EcnCase {
  std::uint8_t inner, outer, result;
};
constexpr std::array ecn_cases{EcnCase{not_ect, not_ect, not_ect},
                               EcnCase{not_ect, ect0, not_ect},
                               EcnCase{not_ect, ect1, not_ect},
                               EcnCase{not_ect, ce, drop},
                               EcnCase{ect0, not_ect, ect0},
                               EcnCase{ect0, ect0, ect0},
                               EcnCase{ect0, ect1, ect1},
                               EcnCase{ect0, ce, ce},
                               EcnCase{ect1, not_ect, ect1},
                               EcnCase{ect1, ect0, ect1},
                               EcnCase{ect1, ect1, ect1},
                               EcnCase{ect1, ce, ce},
                               EcnCase{ce, not_ect, ce},
                               EcnCase{ce, ect0, ce},
                               EcnCase{ce, ect1, ce},
                               EcnCase{ce, ce, ce}};

TEST(DecapsulateEcn, follows_figure_4_and_touches_nothing_else) {
  for (const auto& [inner, outer, result] : ecn_cases) {
    for (const bool is_v4 : {true, false}) {
      SCOPED_TRACE(testing::Message() << "inner " << +inner << " outer " << +outer << (is_v4 ? " IPv4" : " IPv6"));
      const auto packet_with = [&](std::uint8_t mark) {
        const auto traffic_class = static_cast<std::uint8_t>(0xb8 | mark);
        return is_v4 ? v4_packet(28, traffic_class) : v6_packet(8, traffic_class);
      };
      Bytes packet = packet_with(inner);
      const auto verdict = decapsulate_ecn(static_cast<std::uint8_t>(0x20 | outer), packet);
      if (result == drop) {
        ASSERT_TRUE(verdict.has_error());
        EXPECT_EQ(verdict.error(), DropReason::EcnMismatch);
        EXPECT_EQ(packet, packet_with(inner));
      } else {
        ASSERT_TRUE(verdict.has_value());
        EXPECT_EQ(packet, packet_with(result));
      }
    }
  }
}

TEST(DecapsulateEcn, keeps_the_checksum_right_for_every_value_it_can_have) {
  for (unsigned identification = 0; identification <= 0xffff; ++identification) {
    Bytes packet = v4_packet(20, ect0);
    store<Be16>(&packet[4], static_cast<std::uint16_t>(identification));
    store<Be16>(&packet[10], std::uint16_t{0});
    store<Be16>(&packet[10], full_checksum(packet));
    ASSERT_TRUE(decapsulate_ecn(ce, packet).has_value());
    ASSERT_EQ(full_checksum(packet), 0) << identification;
  }
}

TEST(DecapsulateEcn, leaves_a_wrong_checksum_wrong) {
  Bytes packet = v4_packet(20, ect0);
  packet[11] ^= std::byte{1};
  ASSERT_TRUE(decapsulate_ecn(ce, packet).has_value());
  EXPECT_NE(full_checksum(packet), 0);
}

}  // namespace
}  // namespace culvert
