// Views of text and wire structs.
#include "culvert/base/bytes.hpp"

#include <gtest/gtest.h>

#include "culvert/base/endian.hpp"
#include "support/hex.hpp"

namespace culvert {
namespace {

TEST(Bytes, a_string_literal_is_text_without_its_terminating_zero) {
  EXPECT_EQ(to_hex(bytes_of("abc")), "616263");
  EXPECT_TRUE(bytes_of("").empty());
}

TEST(Bytes, a_wire_struct_is_its_object_representation) {
  struct Wire {
    Be16 big = 0x0102;
    Le32 little = 0x03040506;
  };
  const Wire wire;
  EXPECT_EQ(to_hex(bytes_of(wire)), "010206050403");
}

TEST(Bytes, nothing_can_be_copied_to_nowhere) {
  copy_bytes({}, {});
  std::array<std::byte, 2> to{};
  copy_bytes({}, to);
  EXPECT_EQ(to_hex(to), "0000");
}

TEST(Bytes, overlapping_memory_is_copied_whole) {
  auto bytes = from_hex("01020304");
  copy_bytes(ByteView(bytes).first(3), ByteSpan(bytes).subspan(1));
  EXPECT_EQ(to_hex(bytes), "01010203");
}

}  // namespace
}  // namespace culvert
