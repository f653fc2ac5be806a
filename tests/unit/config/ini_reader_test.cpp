// Lines, columns, comments and words, before any key has a meaning.
#include "culvert/base/printable.hpp"
#include "../../../src/config/ini_reader.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace culvert {
namespace {

using namespace std::string_view_literals;

std::vector<IniItem> items_of(std::string_view text) {
  std::vector<IniItem> items;
  IniReader reader(text);
  while (const auto item = reader.next()) items.push_back(*item);
  return items;
}

void expect_text(const IniText& piece, std::string_view text, unsigned line, unsigned column) {
  EXPECT_EQ(piece.text, text);
  EXPECT_EQ(piece.line, line);
  EXPECT_EQ(piece.column, column);
}

void expect_error(std::string_view text, unsigned line, unsigned column, std::string_view message) {
  SCOPED_TRACE(printable(text));
  try {
    (void)items_of(text);
    ADD_FAILURE() << "no error";
  } catch (const IniError& error) {
    EXPECT_EQ(error.line, line);
    EXPECT_EQ(error.column, column);
    EXPECT_EQ(error.what(), message);
  }
}

TEST(IniReader, gives_sections_and_entries_with_their_places) {
  const auto items = items_of("[Interface]\n  Address =  10.0.0.1/24 \n\n\t[ Peer ]\nA=b=c");
  ASSERT_EQ(items.size(), 4U);
  EXPECT_EQ(items[0].kind, IniItem::Kind::Section);
  expect_text(items[0].name, "Interface", 1, 2);
  EXPECT_EQ(items[1].kind, IniItem::Kind::Entry);
  expect_text(items[1].name, "Address", 2, 3);
  expect_text(items[1].value, "10.0.0.1/24", 2, 14);
  EXPECT_EQ(items[2].kind, IniItem::Kind::Section);
  expect_text(items[2].name, "Peer", 4, 4);
  expect_text(items[3].name, "A", 5, 1);
  expect_text(items[3].value, "b=c", 5, 3);
}

TEST(IniReader, gives_nothing_for_texts_of_nothing) {
  for (const auto text : {""sv, "\n"sv, "\n\n \t\n"sv, "# a = b"sv, "\r\n"sv, "\xef\xbb\xbf"sv}) {
    EXPECT_TRUE(items_of(text).empty()) << printable(text);
  }
}

TEST(IniReader, gives_an_empty_value_its_place) {
  expect_text(items_of("A =").at(0).value, "", 1, 4);
  expect_text(items_of("A =  # b").at(0).value, "", 1, 4);
}

TEST(IniReader, ends_a_line_at_a_comment_wherever_it_stands) {
  const auto items = items_of("[A] # one\nB = c#d\n#E = f");
  ASSERT_EQ(items.size(), 2U);
  expect_text(items[0].name, "A", 1, 2);
  expect_text(items[1].value, "c", 2, 5);
}

TEST(IniReader, passes_over_carriage_returns_at_line_ends_and_a_byte_order_mark) {
  const auto items = items_of("\xef\xbb\xbf[A]\r\nB = c\r\n\r\n");
  ASSERT_EQ(items.size(), 2U);
  expect_text(items[0].name, "A", 1, 2);
  expect_text(items[1].value, "c", 2, 5);
}

TEST(IniReader, takes_a_byte_order_mark_at_the_start_only) {
  expect_error("A = b\n\xef\xbb\xbf[B]\n", 2, 1, "expected \"Key = value\" or \"[Section]\"");
}

TEST(IniReader, lets_comments_hold_anything) {
  EXPECT_EQ(items_of("A = b # \0\x1b\xff\x7f"sv).size(), 1U);
}

TEST(IniReader, lets_values_hold_tabs_and_bytes_above_ascii) {
  EXPECT_EQ(items_of("A = b\tc \xc3\xa4").at(0).value.text, "b\tc \xc3\xa4");
}

TEST(IniReader, refuses_control_characters) {
  expect_error("A = b\0c\n"sv, 1, 6, "control character '\\x00' is not allowed");
  expect_error("[A]\nB\x1b[0m = c", 2, 2, "control character '\\x1b' is not allowed");
  expect_error("A = b\x7f", 1, 6, "control character '\\x7f' is not allowed");
  expect_error("[A\x1f]", 1, 3, "control character '\\x1f' is not allowed");
  expect_error("A = b\rC = d\n", 1, 6, "control character '\\x0d' is not allowed");
  expect_error("A = b\r\r\n", 1, 6, "control character '\\x0d' is not allowed");
}

TEST(IniReader, refuses_lines_that_are_neither_section_nor_entry) {
  expect_error("[A]\n  Address 10.0.0.1", 2, 3, "expected \"Key = value\" or \"[Section]\"");
}

TEST(IniReader, refuses_a_section_header_without_its_end) {
  expect_error("\n [A", 2, 2, "the section header does not end in ']'");
  expect_error("[", 1, 1, "the section header does not end in ']'");
  expect_error("[A] B = c", 1, 1, "the section header does not end in ']'");
}

TEST(IniReader, refuses_a_value_without_key) {
  expect_error("[A]\n = c", 2, 2, "no key stands before '='");
}

TEST(IniReader, does_not_repeat_lines_that_could_be_a_key) {
  expect_error("gI6EdUSYvn8ugXOt8QQD6Yc+JyiZxIhp3GInSWRfWGE", 1, 1, "expected \"Key = value\" or \"[Section]\"");
}

std::vector<std::string> list_of(std::string_view text) {
  IniText list{text, 1, 1};
  std::vector<std::string> words;
  while (const auto item = take_list_item(list)) {
    words.emplace_back(item->text);
    EXPECT_EQ(text.substr(item->column - 1, item->text.size()), item->text);
  }
  return words;
}

TEST(TakeListItem, separates_by_commas_and_blanks_and_keeps_the_columns) {
  const std::vector<std::string> words{"a", "bc", "d", "e"};
  EXPECT_EQ(list_of("a,bc,d,e"), words);
  EXPECT_EQ(list_of(" a , bc\t,d  e "), words);
  EXPECT_TRUE(list_of("").empty());
  EXPECT_TRUE(list_of(" \t").empty());
}

TEST(TakeListItem, refuses_commas_with_nothing_beside_them) {
  const auto column_of_error = [](std::string_view text) {
    try {
      (void)list_of(text);
    } catch (const IniError& error) {
      return error.column;
    }
    return 0U;
  };
  EXPECT_EQ(column_of_error(",a"), 1U);
  EXPECT_EQ(column_of_error("a,,b"), 3U);
  EXPECT_EQ(column_of_error("a, ,b"), 4U);
  EXPECT_EQ(column_of_error("a,b,"), 4U);
  EXPECT_EQ(column_of_error("a ,"), 3U);
  EXPECT_EQ(column_of_error(","), 1U);
}

TEST(EqualIgnoringCase, compares_ascii_letters_only) {
  EXPECT_TRUE(equal_ignoring_case("AllowedIPs", "aLLOWEDipS"));
  EXPECT_FALSE(equal_ignoring_case("AllowedIPs", "AllowedIP"));
  EXPECT_FALSE(equal_ignoring_case("[", "{"));
}

TEST(Shown, escapes_what_a_terminal_could_misread) {
  EXPECT_EQ(shown("a\x1b[31mb\xff\xc3\xa4\n\t~ "), "'a\\x1b[31mb\\xff\\xc3\\xa4\\x0a\\x09~ '");
}

TEST(Shown, cuts_long_text) {
  const std::string text = std::string(16, 'a') + '.' + std::string(16, 'b') + '.' + std::string(24, 'c') + ".dddddd";
  EXPECT_EQ(shown(text.substr(0, 64)), '\'' + text.substr(0, 64) + '\'');
  EXPECT_EQ(shown(text), '\'' + text.substr(0, 64) + "...'");
}

TEST(Shown, leaves_out_what_could_be_a_key) {
  constexpr std::string_view instead = "this text (not shown, it could be a key)";
  EXPECT_EQ(shown("gI6EdUSYvn8ugXOt8QQD6Yc+JyiZxIhp3GInSWRfWGE="), instead);
  EXPECT_EQ(shown("host.example gI6EdUSYvn8ugXOt8QQD6Yc+Jyi"), instead);
  EXPECT_EQ(shown("808e847548 98be7f2e8173adf10403e9873e2728"), instead);
}

}  // namespace
}  // namespace culvert
