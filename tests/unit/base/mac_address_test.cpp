// Ethernet addresses: bytes, text, and what the first bits say.
#include "culvert/base/mac_address.hpp"

#include <gtest/gtest.h>

#include <array>

namespace culvert {
namespace {

constexpr std::array<std::byte, 6> bytes{std::byte{0x02}, std::byte{0x00}, std::byte{0x5e},
                                         std::byte{0x10}, std::byte{0x0a}, std::byte{0xff}};

TEST(MacAddress, goes_from_bytes_to_bytes_and_text) {
  const MacAddress address = MacAddress::from_bytes(bytes);
  EXPECT_EQ(address.value(), 0x02005e100affU);
  EXPECT_EQ(address.to_string(), "02:00:5e:10:0a:ff");
  std::array<std::byte, 6> copy{};
  address.copy_to(copy);
  EXPECT_EQ(copy, bytes);
  EXPECT_EQ(MacAddress(address.value()), address);
  EXPECT_EQ(MacAddress().to_string(), "00:00:00:00:00:00");
}

TEST(MacAddress, tells_groups_from_stations) {
  EXPECT_FALSE(MacAddress::from_bytes(bytes).is_multicast());
  EXPECT_TRUE(MacAddress(0xffffffffffff).is_multicast());
  EXPECT_TRUE(MacAddress(0x01005e000001).is_multicast());
  EXPECT_FALSE(MacAddress(0xfeffffffffff).is_multicast());
  EXPECT_TRUE(MacAddress().is_zero());
  EXPECT_FALSE(MacAddress(1).is_zero());
}

TEST(MacAddress, knows_the_sixteen_addresses_that_bridges_keep_to_themselves) {
  EXPECT_TRUE(MacAddress(0x0180c2000000).is_link_local_group());
  EXPECT_TRUE(MacAddress(0x0180c200000f).is_link_local_group());
  EXPECT_FALSE(MacAddress(0x0180c2000010).is_link_local_group());
  EXPECT_FALSE(MacAddress(0x0180c1ffffff).is_link_local_group());
  EXPECT_FALSE(MacAddress(0xffffffffffff).is_link_local_group());
}

}  // namespace
}  // namespace culvert
