// Integers in a stated byte order.
#include "culvert/base/endian.hpp"

#include <gtest/gtest.h>

#include "support/hex.hpp"

namespace culvert {
namespace {

TEST(WireInteger, lies_in_memory_in_its_order) {
  EXPECT_EQ(to_hex(bytes_of(Le16(0x0102))), "0201");
  EXPECT_EQ(to_hex(bytes_of(Be16(0x0102))), "0102");
  EXPECT_EQ(to_hex(bytes_of(Le32(0xf1020304))), "040302f1");
  EXPECT_EQ(to_hex(bytes_of(Be32(0xf1020304))), "f1020304");
  EXPECT_EQ(to_hex(bytes_of(Le64(0xf102030405060708))), "08070605040302f1");
  EXPECT_EQ(to_hex(bytes_of(Be64(0xf102030405060708))), "f102030405060708");
}

TEST(WireInteger, reads_back_what_was_written) {
  EXPECT_EQ(Le16(0xfffe), 0xfffe);
  EXPECT_EQ(Be16(0xfffe), 0xfffe);
  EXPECT_EQ(Le32(0xfffefdfc), 0xfffefdfc);
  EXPECT_EQ(Be32(0xfffefdfc), 0xfffefdfc);
  EXPECT_EQ(Le64(0xfffefdfcfbfaf9f8), 0xfffefdfcfbfaf9f8);
  EXPECT_EQ(Be64(0xfffefdfcfbfaf9f8), 0xfffefdfcfbfaf9f8);
}

TEST(WireInteger, loads_and_stores_at_odd_addresses) {
  std::array<std::byte, 9> memory{};
  store<Be32>(memory.data() + 1, 0x01020304U);
  EXPECT_EQ(to_hex(memory), "000102030400000000");
  EXPECT_EQ(load<Le32>(memory.data() + 1), 0x04030201U);
}

}  // namespace
}  // namespace culvert
