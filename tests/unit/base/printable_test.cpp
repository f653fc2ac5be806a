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

TEST(Printable, leaves_utf8_that_shows_itself_alone) {
  for (const char* text : {"gr\xc3\xbcn", "\xe7\xb7\x91", "\xf0\x9f\x8c\xb1", "plain"})
    EXPECT_EQ(printable_utf8(text), text);
}

TEST(Printable, escapes_utf8_that_hides_or_reorders_or_is_none) {
  EXPECT_EQ(printable_utf8("a\nb\x1b"), "a\\x0ab\\x1b");
  EXPECT_EQ(printable_utf8("\xe2\x80\xae"), "\\xe2\\x80\\xae") << "right to left from here";
  EXPECT_EQ(printable_utf8("\xc2\x9b"), "\\xc2\\x9b") << "a control";
  EXPECT_EQ(printable_utf8("\xc0\xaf"), "\\xc0\\xaf") << "longer than needed";
  EXPECT_EQ(printable_utf8("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "half of a pair";
  EXPECT_EQ(printable_utf8("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond the last";
  EXPECT_EQ(printable_utf8("x\xe7\xb7"), "x\\xe7\\xb7") << "cut off";
  EXPECT_EQ(printable_utf8("\x80y\xff"), "\\x80y\\xff") << "no beginning";
}

}  // namespace
}  // namespace culvert
