// What stands in the first lines, and that all lines fit.
#include "culvert/bench/table.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>
#include <vector>

#include "culvert/bench/figure_text.hpp"
#include "results.hpp"

namespace culvert {
namespace {

using test::cell;
using test::key;
using test::result_of;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

Cell made(BenchMode mode, Measure measure, std::uint32_t size, double factor) {
  Cell cell{key(mode, measure, size), {}, {}, false};
  const auto around = [factor](double value) {
    return Figure{{value * factor, value * factor * 0.98, value * factor * 1.03}};
  };
  switch (measure) {
    case Measure::TcpUp:
      cell.figures = {{"throughput", around(9.42e9)}, {"cpu_per_gib", around(0.51)}};
      break;
    case Measure::RateWithoutLoss:
      cell.figures = {{"rate", around(812e3)}};
      break;
    default:
      cell.figures = {{"p50", around(41)}, {"p99", around(190)}, {"p99_9", around(1900)}};
  }
  return cell;
}

BenchResult usual_result() {
  std::vector<Cell> cells;
  for (const auto& [mode, factor] : {std::pair(BenchMode::Tun, 1.0), std::pair(BenchMode::Tap, 0.9),
                                     std::pair(BenchMode::BridgedTap, 0.8), std::pair(BenchMode::Uplink, 3.0)}) {
    for (const std::uint32_t size : {64U, 1420U, 8920U}) {
      cells.push_back(made(mode, Measure::TcpUp, size, factor));
      cells.push_back(made(mode, Measure::RateWithoutLoss, size, factor));
    }
    cells.push_back(made(mode, Measure::RoundTripFull, 64, factor));
    cells.push_back(made(mode, Measure::RoundTripIdle, 64, 1));
  }
  return result_of(std::move(cells));
}

TEST(Table, answers_in_its_first_three_lines) {
  const std::vector<std::string> lines = lines_of(to_table(usual_result()));
  EXPECT_EQ(lines[0], "tun or tap? tun: throughput and packet rate. tap: CPU. Even: latency.");
  EXPECT_EQ(lines[1], "tun  9.42 (9.23–9.70) Gbit/s  812 (796–836) kpacket/s  41.0 µs  0.51 s/GiB");
  EXPECT_EQ(lines[2], "tap  8.48 (8.31–8.73) Gbit/s  731 (716–753) kpacket/s  41.0 µs  0.46 s/GiB");
}

TEST(Table, shows_leads_and_all_spreads_where_there_is_room) {
  const std::vector<std::string> lines = lines_of(to_table(usual_result(), {120, false}));
  EXPECT_EQ(lines[0],
            "tun or tap? tun: 11 % more throughput and 11 % more packet rate. tap: 10 % less CPU. Even: latency.");
  EXPECT_EQ(lines[1],
            "tun  9.42 (9.23–9.70) Gbit/s  812 (796–836) kpacket/s  41.0 (40.2–42.2) µs  0.51 (0.50–0.53) s/GiB");
}

TEST(Table, has_no_line_beyond_its_width) {
  BenchResult result = usual_result();
  result.notes = {"a note that is far too long for one line of a terminal, and that has to be broken somewhere in it"};
  for (const std::size_t width : {20U, 80U, 100U, 200U}) {
    for (const std::string& line : lines_of(to_table(result, {width, false}))) {
      EXPECT_LE(width_of(line), std::max<std::size_t>(width, 80)) << line;
    }
  }
}

TEST(Table, puts_modes_beside_each_other) {
  const std::string text = to_table(usual_result());
  EXPECT_THAT(text, HasSubstr("Throughput of TCP by packet size, Gbit/s\nchacha20-poly1305, 1 stream\n"
                              "packet size, bytes  tun               tap               tap+bridge        uplink\n"
                              "64                  9.42 (9.23–9.70)  8.48 (8.31–8.73)  7.54 (7.39–7.76)  28.3\n"));
}

TEST(Table, explains_the_signs_that_it_uses_and_no_other) {
  BenchResult result = usual_result();
  EXPECT_THAT(to_table(result), Not(HasSubstr("†")));
  EXPECT_THAT(to_table(result), Not(HasSubstr("‡")));
  for (Cell& cell : result.cells) {
    if (cell.key.mode == BenchMode::Tun && cell.key.measure == Measure::RateWithoutLoss) {
      cell.is_limited_by_generator = true;
      cell.figures.at("rate").rounds = {1e3, 5e5, 1e6};
    }
  }
  const std::string text = to_table(result);
  EXPECT_THAT(text, HasSubstr("  500 (1.00–1000)†‡  731 (716–753) "));
  EXPECT_THAT(text, HasSubstr("\n† The load generator was the limit"));
  const std::string words = to_table(result, {250, false});
  EXPECT_THAT(words, HasSubstr("beyond this rate its sender or sink failed")) << "what † means of a rate";
  EXPECT_THAT(words, HasSubstr("bare uplink's, measured alike")) << "what it means of TCP";
  EXPECT_THAT(text, HasSubstr("\n‡ The spread is more than half"));
}

TEST(Table, says_what_is_missing_and_why) {
  const std::string text = to_table(usual_result());
  EXPECT_THAT(text, HasSubstr("Where the time goes: What the processor time is spent on was not measured."));
  EXPECT_EQ(to_table(result_of({})).substr(0, 49), "tun or tap? Not both were measured, or not alike.");
}

TEST(Table, begins_with_the_tunnel_to_a_peer_where_there_is_no_other) {
  std::vector<Cell> cells = {made(BenchMode::Tun, Measure::TcpUp, 1420, 1)};
  cells.push_back(cells[0]);
  cells.back().key.measure = Measure::TcpDown;
  cells.push_back(made(BenchMode::Tun, Measure::RateWithoutLoss, 64, 1));
  cells.push_back(made(BenchMode::Tun, Measure::RoundTripIdle, 64, 1));
  cells.push_back(made(BenchMode::Tun, Measure::RoundTripFull, 64, 3));
  BenchResult result = result_of(std::move(cells));
  result.kind = "peer";
  const std::string text = to_table(result);
  const std::vector<std::string> lines = lines_of(text);
  EXPECT_EQ(lines[0], "throughput   up 9.42 (9.23–9.70), down 9.42 (9.23–9.70) Gbit/s");
  EXPECT_EQ(lines[1], "packet rate  no loss 812 (796–836) kpacket/s");
  EXPECT_EQ(lines[2], "latency      idle 41.0 (40.2–42.2), full load 123 (121–127) µs");
  EXPECT_THAT(lines[3], HasSubstr("Measured: throughput: chacha20-poly1305, 1420 bytes, 1 stream; packet rate:"));
  EXPECT_THAT(text, Not(HasSubstr("tun or tap")));
  EXPECT_THAT(text, Not(HasSubstr("tun and tap")));
  for (Cell& cell : result.cells) cell.is_limited_by_generator = cell.key.measure == Measure::TcpDown;
  EXPECT_THAT(to_table(result), HasSubstr("down 9.42 (9.23–9.70)† Gbit/s\n"));
  EXPECT_THAT(to_table(result), HasSubstr("\n† The load generator"));
  result.cells[0].key.measure = Measure::RateAtHalfPercent;
  result.cells[0].figures = {{"rate", {{1, 10, 20}}}};
  EXPECT_THAT(to_table(result), HasSubstr("\n‡ The spread is")) << "of what no picture shows";
  result.cells.clear();
  EXPECT_EQ(lines_of(to_table(result))[0], "Of the tunnel nothing was measured.");
}

TEST(Table, tells_by_cell_and_reason_what_was_dropped) {
  BenchResult result = usual_result();
  EXPECT_THAT(to_table(result), Not(HasSubstr("dropped")));
  result.cells[0].drops = {{"replayed", 3}, {"too_old", 0}};
  result.cells[1].drops = {{"replayed", 4}, {"no_session", 1}};
  EXPECT_THAT(to_table(result, {120, false}),
              HasSubstr("Packets that the tunnel dropped\n" + text_of(result.cells[1].key) +
                        ": no_session 1, replayed 4\n" + text_of(result.cells[0].key) + ": replayed 3\n\n"));
}

TEST(Table, keeps_the_list_of_drops_short) {
  BenchResult result = usual_result();
  for (Cell& cell : result.cells) cell.drops = {{"replayed", 1}};
  result.cells.back().drops = {{"replayed", 2}};
  const std::vector<std::string> lines = lines_of(to_table(result, {120, false}));
  const auto heading = std::ranges::find(lines, "Packets that the tunnel dropped");
  ASSERT_GE(lines.end() - heading, 13);
  EXPECT_EQ(heading[1], text_of(result.cells.back().key) + ": replayed 2");
  EXPECT_EQ(heading[10], text_of(result.cells[8].key) + ": replayed 1");
  EXPECT_EQ(heading[11], "and fewer in " + std::to_string(result.cells.size() - 10) + " more cells");
}

TEST(Table, has_colour_only_where_it_is_wanted) {
  EXPECT_THAT(to_table(usual_result()), Not(HasSubstr("\x1b")));
  EXPECT_THAT(to_table(usual_result(), {80, true}),
              HasSubstr("\x1b[1mThroughput of TCP by packet size, Gbit/s\x1b[0m\n"));
}

TEST(Table, shows_nothing_of_a_file_that_steers_a_terminal) {
  BenchResult result = usual_result();
  for (Cell& cell : result.cells) cell.key.cipher = "\x1b[31mred\n";
  result.notes = {"\x1b[2J"};
  result.kind = "\x1b]0;title\x07";
  EXPECT_THAT(to_table(result), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace culvert
