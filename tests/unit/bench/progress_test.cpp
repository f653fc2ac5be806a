// One line, rarely.
#include "culvert/bench/progress.hpp"

#include <gmock/gmock.h>

#include <vector>

#include "culvert/bench/figure_text.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(ProgressLine, tells_share_work_and_time) {
  EXPECT_EQ(progress_line({0.42, "tun, tcp-up", 67s}), " 42 %  tun, tcp-up  1:07 left");
  EXPECT_EQ(progress_line({0, "", std::nullopt}), "  0 %");
  EXPECT_EQ(progress_line({1, "done", 3600s}), "100 %  done  60:00 left");
}

TEST(ProgressLine, is_never_done_early_nor_late) {
  EXPECT_EQ(progress_line({0.9999, "", -5s}), " 99 %  0:00 left");
  EXPECT_EQ(progress_line({1.7, "", std::nullopt}), "100 %");
  EXPECT_EQ(progress_line({-1, "", std::nullopt}), "  0 %");
}

TEST(ProgressLine, fits_into_its_width) {
  for (std::size_t width = 0; width < 60; ++width) {
    const std::string line = progress_line({0.5, "größer als die Zeile → breit", 67s}, width);
    EXPECT_LE(width_of(line), width);
    EXPECT_EQ(one_line(line), line) << "cut within a character";
  }
  EXPECT_EQ(progress_line({0.5, "größer", 67s}, 21), " 50 %  grö  1:07 left");
}

TEST(ProgressLine, shows_nothing_that_steers_a_terminal) {
  EXPECT_EQ(progress_line({0.5, "a\nb", std::nullopt}), " 50 %  a?b");
}

class ProgressTest : public ::testing::Test {
 protected:
  Progress made(std::optional<std::size_t> width) {
    return Progress([this](std::string_view text) { written_.emplace_back(text); }, width);
  }
  std::vector<std::string> written_;
  Progress::Time now_{1000s};
};

TEST_F(ProgressTest, writes_over_its_line_on_a_terminal) {
  Progress progress = made(40);
  progress.show({0.1, "a", std::nullopt}, now_);
  progress.show({0.2, "b", std::nullopt}, now_ + 99ms);
  progress.show({0.3, "c", std::nullopt}, now_ + 100ms);
  EXPECT_THAT(written_, ElementsAre("\r\x1b[K 10 %  a", "\r\x1b[K 30 %  c"));
}

TEST_F(ProgressTest, stays_out_of_the_last_column) {
  made(12).show({0.1, "abcdefghijkl", std::nullopt}, now_);
  EXPECT_THAT(written_, ElementsAre("\r\x1b[K 10 %  abcd"));
}

TEST_F(ProgressTest, goes_from_the_terminal_for_others_and_comes_back) {
  Progress progress = made(40);
  progress.clear();
  EXPECT_THAT(written_, IsEmpty());
  progress.show({0.1, "a", std::nullopt}, now_);
  progress.clear();
  progress.show({0.1, "a", std::nullopt}, now_ + 1ms);
  EXPECT_THAT(written_, ElementsAre("\r\x1b[K 10 %  a", "\r\x1b[K", "\r\x1b[K 10 %  a"));
}

TEST_F(ProgressTest, writes_few_plain_lines_elsewhere) {
  Progress progress = made(std::nullopt);
  for (int i = 0; i <= 1000; ++i) progress.show({i / 1000.0, "a", std::nullopt}, now_ + i * 10ms);
  EXPECT_THAT(written_, SizeIs(11));
  EXPECT_EQ(written_.front(), "  0 %  a\n");
  EXPECT_EQ(written_.back(), "100 %  a\n");
}

TEST_F(ProgressTest, shows_elsewhere_that_it_still_lives) {
  Progress progress = made(std::nullopt);
  progress.show({0.11, "a", std::nullopt}, now_);
  progress.show({0.12, "a", std::nullopt}, now_ + 14s);
  progress.show({0.13, "a", std::nullopt}, now_ + 15s);
  progress.clear();
  EXPECT_THAT(written_, ElementsAre(" 11 %  a\n", " 13 %  a\n"));
}

}  // namespace
}  // namespace culvert
