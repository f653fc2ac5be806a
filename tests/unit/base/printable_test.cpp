// Text from outside cannot steer a terminal or forge a line.
#include "culvert/base/printable.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(Printable, leaves_printable_ascii_alone) {
  EXPECT_EQ(printable("site-a ~ {0}"), "site-a ~ {0}");
}

TEST(Printable, escapes_line_ends_escape_sequences_and_bytes_beyond_ascii) {
  EXPECT_EQ(printable("a\nb\x1b[0m\x7f\xc3"), "a\\x0ab\\x1b[0m\\x7f\\xc3");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

}  // namespace
}  // namespace culvert
