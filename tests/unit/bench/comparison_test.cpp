// Which differences are told.
#include "culvert/bench/comparison.hpp"

#include <gmock/gmock.h>

#include <boost/json/parse.hpp>
#include <cmath>

#include "results.hpp"

namespace culvert {
namespace {

using test::cell;
using test::key;
using test::result_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Comparison compared(const std::string& name, std::vector<double> before, std::vector<double> after,
                    double threshold = usual_threshold) {
  const CellKey same = key(BenchMode::Tun, Measure::TcpUp);
  return compare(result_of({cell(same, {{name, {std::move(before)}}})}),
                 result_of({cell(same, {{name, {std::move(after)}}})}), threshold);
}

ChangeVerdict verdict(const std::string& name, std::vector<double> before, std::vector<double> after,
                      double threshold = usual_threshold) {
  return compared(name, std::move(before), std::move(after), threshold).cells.at(0).figures.at(0).verdict;
}

TEST(Comparison, takes_for_the_same_what_lies_within_either_spread) {
  EXPECT_EQ(verdict("throughput", {90, 100, 110}, {100, 110, 111}), ChangeVerdict::Same);
  EXPECT_EQ(verdict("throughput", {90, 100, 110}, {99, 111, 130}), ChangeVerdict::Same);
  EXPECT_EQ(verdict("throughput", {100}, {100}), ChangeVerdict::Same);
}

TEST(Comparison, does_not_judge_spreads_that_overlap_beside_the_medians) {
  EXPECT_EQ(verdict("throughput", {90, 100, 110}, {109, 120, 130}), ChangeVerdict::Unclear);
}

TEST(Comparison, does_not_judge_what_is_too_little_to_matter) {
  EXPECT_EQ(verdict("throughput", {99, 100, 101}, {103, 104, 105}), ChangeVerdict::Unclear);
  EXPECT_EQ(verdict("throughput", {99, 100, 101}, {103, 104, 105}, 0.01), ChangeVerdict::Better);
}

TEST(Comparison, knows_for_each_figure_what_is_better) {
  EXPECT_EQ(verdict("throughput", {99, 100, 101}, {109, 110, 111}), ChangeVerdict::Better);
  EXPECT_EQ(verdict("throughput", {109, 110, 111}, {99, 100, 101}), ChangeVerdict::Worse);
  EXPECT_EQ(verdict("cpu_per_gib", {99, 100, 101}, {109, 110, 111}), ChangeVerdict::Worse);
  EXPECT_EQ(verdict("p99", {109, 110, 111}, {99, 100, 101}), ChangeVerdict::Better);
}

TEST(Comparison, takes_any_step_from_nothing_for_a_large_one) {
  EXPECT_EQ(verdict("system_calls", {0, 0}, {0.1, 0.2}), ChangeVerdict::Worse);
  EXPECT_TRUE(std::isinf(compared("system_calls", {0, 0}, {0.1, 0.2}).cells[0].figures[0].change()));
  EXPECT_EQ(verdict("system_calls", {0, 0}, {0, 0}), ChangeVerdict::Same);
}

TEST(Comparison, does_not_judge_what_the_time_is_made_of) {
  EXPECT_THAT(compared("time_crypto", {0.1}, {0.9}).cells.at(0).figures, IsEmpty());
}

TEST(Comparison, lists_what_only_one_has) {
  const CellKey tun = key(BenchMode::Tun, Measure::TcpUp);
  const CellKey tap = key(BenchMode::Tap, Measure::TcpUp);
  const CellKey both = key(BenchMode::Tun, Measure::TcpDown);
  const std::map<std::string, Figure> figures = {{"throughput", {{1}}}};
  const Comparison comparison = compare(result_of({cell(tun, figures), cell(both, figures)}),
                                        result_of({cell(tap, figures), cell(both, figures)}));
  EXPECT_THAT(comparison.only_before, ElementsAre(tun));
  EXPECT_THAT(comparison.only_after, ElementsAre(tap));
  ASSERT_EQ(comparison.cells.size(), 1U);
  EXPECT_EQ(comparison.cells[0].key, both);
  const std::string text = to_text(comparison, "a", "b");
  EXPECT_THAT(text, HasSubstr("only in the first\n  tun, "));
  EXPECT_THAT(text, HasSubstr("only in the second\n  tap, "));
}

TEST(Comparison, counts_the_cells_whose_first_figures_agree) {
  const CellKey up = key(BenchMode::Tun, Measure::TcpUp);
  const CellKey idle = key(BenchMode::Tun, Measure::RoundTripIdle);
  const CellKey empty = key(BenchMode::Tun, Measure::RoundTripHalf);
  const Comparison comparison = compare(result_of({cell(up, {{"throughput", {{100}}}, {"cpu_per_gib", {{1}}}}),
                                                   cell(idle, {{"p50", {{10}}}, {"p99", {{20}}}}), cell(empty, {})}),
                                        result_of({cell(up, {{"throughput", {{100}}}, {"cpu_per_gib", {{9}}}}),
                                                   cell(idle, {{"p50", {{20}}}, {"p99", {{20}}}}), cell(empty, {})}));
  EXPECT_EQ(comparison.comparable(), 2U);
  EXPECT_EQ(comparison.alike(), 1U);
  EXPECT_EQ(comparison.count(ChangeVerdict::Worse), 2U);
  EXPECT_THAT(to_text(comparison, "a", "b"), HasSubstr("1 of 2 cells (50 %) agree within their spreads."));
}

TEST(Comparison, says_when_there_is_nothing_to_compare) {
  EXPECT_THAT(to_text(compare(result_of({}), result_of({})), "a", "b"), HasSubstr("No cell is in both."));
}

TEST(Comparison, tells_that_the_machine_was_another) {
  BenchResult before = result_of({});
  BenchResult after = before;
  EXPECT_THAT(compare(before, after).differences, IsEmpty());
  after.machine.kernel = "Linux 6.2\n";
  after.kind = "quick";
  EXPECT_THAT(compare(before, after).differences,
              ElementsAre("kind of run: default → quick", "kernel: Linux 6.1.0 → Linux 6.2?"));
}

TEST(Comparison, shows_what_changed_with_units_and_spreads) {
  const std::string text =
      to_text(compared("throughput", {9.0e9, 9.1e9, 9.2e9}, {8.0e9, 8.1e9, 8.2e9}), "a.json", "b.json");
  EXPECT_THAT(text, HasSubstr("a.json → b.json: 1 worse, 0 better, 0 same, 0 not to be told\n"));
  EXPECT_THAT(text, HasSubstr("\nworse\ntun, chacha20-poly1305, offloads on, 1420 bytes, 1 queue, 1 stream, tcp-up\n"));
  EXPECT_THAT(text, HasSubstr("throughput        −11.0 %   9.10 (9.00–9.20) → 8.10 (8.00–8.20) Gbit/s\n"));
  EXPECT_THAT(text, Not(HasSubstr("†")));
}

TEST(Comparison, marks_what_the_load_generator_limited) {
  const CellKey same = key(BenchMode::Tun, Measure::TcpUp);
  Cell before = cell(same, {{"throughput", {{100}}}});
  before.is_limited_by_generator = true;
  const std::string text =
      to_text(compare(result_of({before}), result_of({cell(same, {{"throughput", {{10}}}})})), "a", "b");
  EXPECT_THAT(text, HasSubstr("tcp-up †\n"));
  EXPECT_THAT(text, HasSubstr("\n† the load generator was the limit"));
}

TEST(Comparison, is_json_too) {
  const auto value = boost::json::parse(to_json(compared("throughput", {100}, {50})));
  EXPECT_EQ(value.at("worse").to_number<int>(), 1);
  EXPECT_EQ(value.at("cells").at(0).at("figures").at("throughput").at("verdict").as_string(), "worse");
  EXPECT_EQ(value.at("cells").at(0).at("figures").at("throughput").at("change").as_double(), -0.5);
  EXPECT_TRUE(boost::json::parse(to_json(compared("system_calls", {0}, {1})))
                  .at("cells")
                  .at(0)
                  .at("figures")
                  .at("system_calls")
                  .at("change")
                  .is_null());
}

}  // namespace
}  // namespace culvert
