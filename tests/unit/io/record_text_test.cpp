// Records of several lines, whole and damaged.
#include "culvert/io/record_text.hpp"

#include <gmock/gmock.h>

namespace culvert {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view heading = "a record 1";

std::vector<Fields> lines_of(std::string_view text) {
  std::vector<Fields> lines;
  const auto take = [&](const Fields& fields, std::string_view line) {
    EXPECT_EQ(join_fields(fields), line);
    lines.push_back(fields);
    return true;
  };
  EXPECT_TRUE(read_record(text, heading, take)) << text;
  return lines;
}

bool is_refused(std::string_view text) {
  return !read_record(text, heading, [](const Fields&, std::string_view) { return true; });
}

TEST(RecordText, gives_the_fields_of_each_line_behind_the_first) {
  EXPECT_THAT(lines_of("a record 1\none\ttwo\nthr\\tee\n"), ElementsAre(Fields{"one", "two"}, Fields{"thr\tee"}));
  EXPECT_THAT(lines_of("a record 1\n"), IsEmpty());
}

TEST(RecordText, refuses_another_first_line_and_a_text_that_was_cut_off) {
  for (const std::string_view text : {"", "\n", "a record 1", "a record 2\n", "a record 1 \n", "one\ntwo\n",
                                      "a record 1\none", "a record 1\nbad\\\n"}) {
    EXPECT_TRUE(is_refused(text)) << text;
  }
}

TEST(RecordText, stops_where_a_line_makes_no_sense) {
  int count = 0;
  const auto refuse_second = [&](const Fields&, std::string_view) { return ++count < 2; };
  EXPECT_FALSE(read_record("a record 1\none\ntwo\nthree\n", heading, refuse_second));
  EXPECT_EQ(count, 2);
}

TEST(RecordText, knows_processes) {
  const ProcessIdentity process{42, 4711};
  EXPECT_EQ(process_line("owner", process), (Fields{"owner", "42", "4711"}));
  EXPECT_EQ(process_from({"owner", "42", "4711"}), process);
  for (const Fields& fields : {Fields{"owner"},
                               {"owner", "42"},
                               {"owner", "0", "1"},
                               {"owner", "-1", "1"},
                               {"owner", "x", "1"},
                               {"owner", "1", ""}}) {
    EXPECT_EQ(process_from(fields), std::nullopt);
  }
}

}  // namespace
}  // namespace culvert
