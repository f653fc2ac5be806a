#include "culvert/bench/load_packet.hpp"

#include <gtest/gtest.h>

#include <array>

namespace culvert {
namespace {

TEST(LoadPacket, is_read_as_it_was_written) {
  LoadPacket packet;
  packet.flow = 3;
  packet.trial = 0x01020304U;
  packet.sequence = 5U;
  packet.sent_at = 6U;
  const auto read = LoadPacket::parse(bytes_of(packet));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->flow, 3);
  EXPECT_EQ(read->trial, 0x01020304U);
  EXPECT_EQ(read->sequence, 5U);
  EXPECT_EQ(read->sent_at, 6U);
}

TEST(LoadPacket, is_not_read_from_fewer_bytes) {
  const LoadPacket packet;
  EXPECT_FALSE(LoadPacket::parse(bytes_of(packet).first(sizeof packet - 1)));
  EXPECT_FALSE(LoadPacket::parse({}));
}

TEST(LoadPacket, is_not_read_from_foreign_bytes) {
  EXPECT_FALSE(LoadPacket::parse(std::array<std::byte, 64>{}));
}

TEST(LoadPacket, fits_into_the_smallest_packet_of_each_family) {
  EXPECT_EQ(udp_payload_of(udp_packet_min, Family::V6), sizeof(LoadPacket));
  EXPECT_EQ(udp_payload_of(1420, Family::V4), 1392U);
  EXPECT_EQ(udp_payload_of(1420, Family::V6), 1372U);
}

}  // namespace
}  // namespace culvert
