// Ethernet headers: plain, tagged, tagged twice, and cut short.
#include "culvert/forwarding/ethernet_header.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

namespace culvert {
namespace {

std::vector<std::byte> frame_of(std::initializer_list<unsigned> behind_addresses) {
  std::vector<std::byte> frame;
  for (const int value : {0x02, 0, 0, 0, 0, 0x0b, 0x02, 0, 0, 0, 0, 0x0a}) frame.push_back(std::byte(value));
  for (const unsigned value : behind_addresses) frame.push_back(std::byte(value));
  return frame;
}

TEST(EthernetHeader, has_fourteen_bytes_without_a_tag) {
  const auto header = parse_ethernet_header(frame_of({0x08, 0x00}));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->destination, MacAddress(0x02000000000b));
  EXPECT_EQ(header->source, MacAddress(0x02000000000a));
  EXPECT_EQ(header->type, ethertype::ipv4);
  EXPECT_EQ(header->vlan, 0);
  EXPECT_EQ(header->length, 14U);
}

TEST(EthernetHeader, has_eighteen_bytes_with_a_tag_whose_low_twelve_bits_are_the_vlan) {
  const auto header = parse_ethernet_header(frame_of({0x81, 0x00, 0xf0, 0x2a, 0x86, 0xdd}));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->vlan, 0x02a);
  EXPECT_EQ(header->type, ethertype::ipv6);
  EXPECT_EQ(header->length, 18U);
}

TEST(EthernetHeader, takes_the_outer_of_two_tags_for_the_vlan) {
  const auto header = parse_ethernet_header(frame_of({0x88, 0xa8, 0x00, 0x07, 0x81, 0x00, 0x00, 0x09, 0x08, 0x06}));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->vlan, 7);
  EXPECT_EQ(header->type, ethertype::arp);
  EXPECT_EQ(header->length, 22U);
}

TEST(EthernetHeader, takes_a_third_tag_for_payload) {
  const auto header = parse_ethernet_header(
      frame_of({0x81, 0x00, 0x00, 0x07, 0x81, 0x00, 0x00, 0x09, 0x81, 0x00, 0x00, 0x01, 0x08, 0x00}));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->length, 22U);
  EXPECT_TRUE(ethertype::is_tag(header->type));
}

TEST(EthernetHeader, is_refused_when_there_are_fewer_bytes_than_it_has) {
  const std::vector<std::byte> plain = frame_of({0x08, 0x00});
  for (std::size_t size = 0; size < 14; ++size) {
    EXPECT_EQ(parse_ethernet_header(ByteView(plain).first(size)).error(), DropReason::FrameTooShort) << size;
  }
  const std::vector<std::byte> tagged = frame_of({0x88, 0xa8, 0x00, 0x07, 0x81, 0x00, 0x00, 0x09, 0x08, 0x06});
  for (std::size_t size = 14; size < 22; ++size) {
    const auto verdict = parse_ethernet_header(ByteView(tagged).first(size));
    EXPECT_EQ(verdict.error(), DropReason::FrameTooShort) << size;
  }
}

}  // namespace
}  // namespace culvert
