// Which packets senders are told about, and that they can believe it.
#include "culvert/forwarding/packet_too_big.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>

#include "culvert/base/endian.hpp"
#include "culvert/forwarding/ip_header.hpp"
#include "support/packet_builder.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<std::byte>;

constexpr std::uint16_t dont_fragment = 0x4000;
constexpr std::uint16_t more_fragments = 0x2000;

Bytes bytes_from(ByteView view) {
  return {view.begin(), view.end()};
}

Bytes error_about(ByteView packet, std::size_t mtu = 1280) {
  std::array<std::byte, packet_too_big_size_max> memory;
  memory.fill(std::byte{0xa5});
  return bytes_from(build_packet_too_big(packet, mtu, memory));
}

PacketBuilder v4() {
  return {*Address::parse("10.0.0.1"), *Address::parse("10.0.0.2")};
}
PacketBuilder v6() {
  return {*Address::parse("fd00::1"), *Address::parse("fd00::2")};
}
Bytes with_fragment_field(Bytes packet, std::uint16_t field) {
  store<Be16>(&packet[6], field);
  return packet;
}

/// Zero over what has its right checksum inside.
std::uint16_t sum_over_v6_message(const Bytes& error) {
  Bytes summed(error.begin() + 8, error.begin() + 40);
  summed.resize(40);
  store<Be32>(&summed[32], static_cast<std::uint32_t>(error.size() - 40));
  summed[39] = std::byte{58};
  summed.insert(summed.end(), error.begin() + 40, error.end());
  return PacketBuilder::checksum(summed);
}

TEST(PacketTooBig, tells_the_sender_of_an_ipv4_packet_what_fits) {
  const Bytes packet = with_fragment_field(v4().udp_of_size(1400), dont_fragment);
  const Bytes error = error_about(packet, 1340);
  const auto header = parse_ip_header(error);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->source, v4().destination);
  EXPECT_EQ(header->destination, v4().source);
  EXPECT_EQ(header->length, error.size());
  EXPECT_EQ(error.size(), 576U);
  EXPECT_EQ(error[9], std::byte{1});
  EXPECT_EQ(PacketBuilder::checksum(ByteView(error).first(20)), 0);
  EXPECT_EQ(PacketBuilder::checksum(ByteView(error).subspan(20)), 0);
  EXPECT_EQ(error[20], std::byte{3});
  EXPECT_EQ(error[21], std::byte{4});
  EXPECT_EQ(load<Be16>(&error[24]), 0U);
  EXPECT_EQ(load<Be16>(&error[26]), 1340U);
  EXPECT_TRUE(std::equal(error.begin() + 28, error.end(), packet.begin()));
}

TEST(PacketTooBig, tells_the_sender_of_an_ipv6_packet_what_fits) {
  const Bytes packet = v6().udp_of_size(1400);
  const Bytes error = error_about(packet, 1320);
  const auto header = parse_ip_header(error);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->source, v6().destination);
  EXPECT_EQ(header->destination, v6().source);
  EXPECT_EQ(header->length, error.size());
  EXPECT_EQ(error.size(), 1280U);
  EXPECT_EQ(error[6], std::byte{58});
  EXPECT_EQ(sum_over_v6_message(error), 0);
  EXPECT_EQ(error[40], std::byte{2});
  EXPECT_EQ(error[41], std::byte{0});
  EXPECT_EQ(load<Be32>(&error[44]), 1320U);
  EXPECT_TRUE(std::equal(error.begin() + 48, error.end(), packet.begin()));
}

TEST(PacketTooBig, quotes_a_short_packet_whole) {
  EXPECT_EQ(error_about(v4().udp_of_size(101)).size(), 28U + 101U);
  EXPECT_EQ(error_about(v6().udp_of_size(101)).size(), 48U + 101U);
  EXPECT_EQ(sum_over_v6_message(error_about(v6().udp_of_size(101))), 0);
}

TEST(PacketTooBig, says_nothing_about_errors) {
  for (const int type : {3, 4, 5, 11, 12}) {
    Bytes message(100);
    message[0] = std::byte(type);
    EXPECT_TRUE(error_about(v4().ip(1, message)).empty()) << type;
  }
  for (const int type : {1, 2, 3, 4, 127}) {
    Bytes message(100);
    message[0] = std::byte(type);
    EXPECT_TRUE(error_about(v6().ip(58, message)).empty()) << type;
  }
  EXPECT_TRUE(error_about(v4().ip(1, {})).empty());
  EXPECT_TRUE(error_about(v6().ip(58, {})).empty());
}

TEST(PacketTooBig, says_it_about_echoes) {
  EXPECT_FALSE(error_about(v4().icmp_echo(1, Bytes(1400))).empty());
  EXPECT_FALSE(error_about(v6().icmp_echo(1, Bytes(1400))).empty());
}

TEST(PacketTooBig, says_nothing_about_an_error_behind_options_or_extensions) {
  Bytes packet = v4().ip(1, Bytes(100));
  packet[0] = std::byte{0x46};
  packet[24] = std::byte{3};
  EXPECT_TRUE(error_about(packet).empty());
  packet[24] = std::byte{8};
  EXPECT_FALSE(error_about(packet).empty());

  Bytes behind(16);
  behind[0] = std::byte{58};
  behind[8] = std::byte{2};
  EXPECT_TRUE(error_about(v6().ip(60, behind)).empty());
  behind[8] = std::byte{128};
  EXPECT_FALSE(error_about(v6().ip(60, behind)).empty());
  // An extension header that ends behind the packet hides what is in it.
  behind[1] = std::byte{9};
  EXPECT_TRUE(error_about(v6().ip(60, behind)).empty());
  EXPECT_TRUE(error_about(v6().ip(60, Bytes(7))).empty());
}

TEST(PacketTooBig, says_nothing_about_fragments_but_the_first) {
  EXPECT_TRUE(error_about(with_fragment_field(v4().udp_of_size(1400), 100)).empty());
  EXPECT_TRUE(error_about(with_fragment_field(v4().udp_of_size(1400), more_fragments | 1)).empty());
  EXPECT_FALSE(error_about(with_fragment_field(v4().udp_of_size(1400), more_fragments)).empty());
  Bytes fragment(100);
  fragment[0] = std::byte{17};
  EXPECT_FALSE(error_about(v6().ip(44, fragment)).empty());
  store<Be16>(&fragment[2], std::uint16_t{1});
  EXPECT_FALSE(error_about(v6().ip(44, fragment)).empty());
  store<Be16>(&fragment[2], std::uint16_t{8});
  EXPECT_TRUE(error_about(v6().ip(44, fragment)).empty());
}

TEST(PacketTooBig, says_nothing_to_or_about_addresses_of_many_or_of_nobody) {
  for (const char* address : {"224.0.0.1", "239.1.2.3", "255.255.255.255", "240.0.0.1", "0.0.0.0"}) {
    EXPECT_TRUE(
        error_about(PacketBuilder{*Address::parse("10.0.0.1"), *Address::parse(address)}.udp_of_size(500)).empty());
    EXPECT_TRUE(
        error_about(PacketBuilder{*Address::parse(address), *Address::parse("10.0.0.1")}.udp_of_size(500)).empty());
  }
  for (const char* address : {"ff02::1", "ff0e::1", "::"}) {
    EXPECT_TRUE(
        error_about(PacketBuilder{*Address::parse("fd00::1"), *Address::parse(address)}.udp_of_size(500)).empty());
    EXPECT_TRUE(
        error_about(PacketBuilder{*Address::parse(address), *Address::parse("fd00::1")}.udp_of_size(500)).empty());
  }
}

TEST(PacketTooBig, concerns_ipv6_and_what_must_not_be_fragmented) {
  EXPECT_TRUE(must_not_be_fragmented(v6().udp_of_size(1400)));
  EXPECT_TRUE(must_not_be_fragmented(with_fragment_field(v4().udp_of_size(1400), dont_fragment)));
  EXPECT_FALSE(must_not_be_fragmented(with_fragment_field(v4().udp_of_size(1400), 0)));
  EXPECT_FALSE(must_not_be_fragmented(with_fragment_field(v4().udp_of_size(1400), more_fragments)));
}

TEST(ErrorLimit, lets_50_through_at_once_and_100_each_second) {
  ErrorLimit limit;
  const Timestamp now(1h);
  int allowed = 0;
  for (int i = 0; i < 1000; ++i) allowed += limit.allow(now);
  EXPECT_EQ(allowed, 50);
  for (int i = 0; i < 10'000; ++i) allowed += limit.allow(now + i * 1ms);
  EXPECT_NEAR(allowed, 50 + 1000, 2);
}

}  // namespace
}  // namespace culvert
