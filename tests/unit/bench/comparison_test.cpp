// Which differences are told.
#include "culvert/bench/comparison.hpp"

#include <gmock/gmock.h>

#include <boost/json/parse.hpp>
#include <cmath>

#include "culvert/bench/figure_text.hpp"
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
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

/// Five rounds around a median.
std::vector<double> five(double median, double most = 0.01) {
  return {median, median * (1 - most), median * (1 - most / 2), median * (1 + most / 2), median * (1 + most)};
}

/// A result with so many cells of tunnels.
BenchResult with_cells(std::size_t number, const std::vector<double>& rounds) {
  std::vector<Cell> cells;
  for (std::size_t i = 0; i < number; ++i) {
    cells.push_back(
        cell(key(BenchMode::Tun, Measure::TcpUp, static_cast<std::uint32_t>(i + 64)), {{"throughput", {rounds}}}));
  }
  return result_of(std::move(cells));
}

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
  EXPECT_EQ(verdict("throughput", five(100, 0.1), {109, 120, 120, 120, 130}), ChangeVerdict::Unclear);
}

TEST(Comparison, does_not_judge_what_is_too_little_to_matter) {
  EXPECT_EQ(verdict("throughput", five(100), five(104)), ChangeVerdict::Unclear);
  EXPECT_EQ(verdict("throughput", five(100), five(104), 0.01), ChangeVerdict::Better);
}

TEST(Comparison, knows_for_each_figure_what_is_better) {
  EXPECT_EQ(verdict("throughput", five(100), five(110)), ChangeVerdict::Better);
  EXPECT_EQ(verdict("throughput", five(110), five(100)), ChangeVerdict::Worse);
  EXPECT_EQ(verdict("cpu_per_gib", five(100), five(110)), ChangeVerdict::Worse);
  EXPECT_EQ(verdict("p99", five(110), five(100)), ChangeVerdict::Better);
  EXPECT_EQ(verdict("lost", five(0), five(0.1)), ChangeVerdict::Worse);
}

TEST(Comparison, takes_any_step_from_nothing_for_a_large_one) {
  EXPECT_EQ(verdict("system_calls", five(0), five(0.1)), ChangeVerdict::Worse);
  EXPECT_TRUE(std::isinf(compared("system_calls", five(0), five(0.1)).cells[0].figures[0].change()));
  EXPECT_EQ(verdict("system_calls", five(0), five(0)), ChangeVerdict::Same);
}

TEST(Comparison, cannot_tell_noise_from_fewer_than_five_rounds) {
  EXPECT_EQ(verdict("throughput", {100, 100, 100, 100}, five(50)), ChangeVerdict::Unclear);
  EXPECT_EQ(verdict("throughput", five(100), {50, 50, 50, 50}), ChangeVerdict::Unclear);
  EXPECT_EQ(verdict("throughput", five(100), {200, 200, 200, 200}), ChangeVerdict::Unclear);
  EXPECT_FALSE(compared("throughput", five(100), {50, 50, 50, 50}).alarm().is_raised());
}

TEST(Comparison, finds_nothing_good_in_what_mostly_fails) {
  std::vector<double> many(12, 100.0);
  EXPECT_EQ(verdict("throughput", many, std::vector<double>(6, 100.0)), ChangeVerdict::Same);
  EXPECT_EQ(verdict("throughput", many, std::vector<double>(5, 100.0)), ChangeVerdict::Unclear);
  EXPECT_EQ(verdict("throughput", many, std::vector<double>(6, 200.0)), ChangeVerdict::Better);
  EXPECT_EQ(verdict("throughput", many, std::vector<double>(5, 200.0)), ChangeVerdict::Unclear);
  EXPECT_EQ(verdict("throughput", many, std::vector<double>(5, 50.0)), ChangeVerdict::Worse);
}

TEST(Comparison, does_not_judge_what_the_time_is_made_of) {
  EXPECT_THAT(compared("time_crypto", {0.1}, {0.9}).cells.at(0).figures, IsEmpty());
}

TEST(Comparison, takes_what_is_not_there_any_more_for_lost) {
  const CellKey tun = key(BenchMode::Tun, Measure::TcpUp);
  const CellKey tap = key(BenchMode::Tap, Measure::TcpUp);
  const CellKey both = key(BenchMode::Tun, Measure::TcpDown);
  const CellKey empty = key(BenchMode::Tun, Measure::RateWithoutLoss);
  const std::map<std::string, Figure> figures = {{"throughput", {{1}}}, {"rate", {{1}}}};
  const Comparison comparison =
      compare(result_of({cell(tun, figures), cell(both, figures), cell(empty, figures)}),
              result_of({cell(tap, figures), cell(both, figures), cell(empty, {{"cpu_per_mpacket", {{1}}}})}));
  EXPECT_THAT(comparison.lost, UnorderedElementsAre(tun, empty));
  EXPECT_THAT(comparison.only_after, ElementsAre(tap));
  ASSERT_EQ(comparison.comparable(), 1U);
  EXPECT_EQ(comparison.alarm().lost, 2U);
  EXPECT_TRUE(comparison.alarm().is_raised());
  const std::string text = to_text(comparison, "a", "b");
  EXPECT_THAT(text, HasSubstr("2 lost\nWORSE: 2 cells of tunnels lost.\n"));
  EXPECT_THAT(text, HasSubstr("lost: in the first only\n  tun, "));
  EXPECT_THAT(text, HasSubstr("only in the second\n  tap, "));
}

TEST(Comparison, fails_for_no_cell_that_is_new) {
  const BenchResult after = with_cells(1, five(1));
  EXPECT_FALSE(compare(result_of({}), after).alarm().is_raised());
}

TEST(Comparison, expects_of_chance_what_the_binomial_distribution_does) {
  EXPECT_EQ(worse_by_chance(0), 0U);
  EXPECT_EQ(worse_by_chance(2), 0U);
  EXPECT_EQ(worse_by_chance(3), 1U);
  EXPECT_EQ(worse_by_chance(100), 2U);
  EXPECT_EQ(worse_by_chance(1000), 9U);
}

TEST(Comparison, fails_for_more_than_chance_explains) {
  const BenchResult before = with_cells(100, five(100));
  BenchResult after = before;
  for (std::size_t i = 0; i < 2; ++i) after.cells[i].figures.at("throughput").rounds = five(90);
  EXPECT_EQ(compare(before, after).count(ChangeVerdict::Worse), 2U);
  EXPECT_FALSE(compare(before, after).alarm().is_raised());
  EXPECT_THAT(to_text(compare(before, after), "a", "b"),
              HasSubstr("\nNot worse than by chance: 2 of 100 cells worse, up to 2 may be by chance.\n"));
  after.cells[2].figures.at("throughput").rounds = five(90);
  EXPECT_TRUE(compare(before, after).alarm().is_raised());
  EXPECT_THAT(to_text(compare(before, after), "a", "b"),
              HasSubstr("\nWORSE: 3 of 100 cells worse, up to 2 may be by chance.\n"));
  EXPECT_TRUE(compare(with_cells(1, five(100)), with_cells(1, five(90))).alarm().is_raised())
      << "of one none is chance";
}

TEST(Comparison, fails_for_one_that_is_much_worse) {
  const BenchResult before = with_cells(100, five(100));
  BenchResult after = before;
  std::vector<double>& rounds = after.cells[0].figures.at("throughput").rounds;
  rounds = five(86);
  EXPECT_FALSE(compare(before, after).alarm().is_raised());
  rounds = five(84);
  EXPECT_TRUE(compare(before, after).alarm().is_raised());
  EXPECT_THAT(to_text(compare(before, after), "a", "b"), HasSubstr("\nWORSE: 1 worse by more than 15.0 %.\n"));
  rounds = {84, 84, 84, 84, 95};
  EXPECT_EQ(compare(before, after).count(ChangeVerdict::Worse), 1U);
  EXPECT_FALSE(compare(before, after).alarm().is_raised()) << "little is between the spreads";
  rounds = five(150);
  EXPECT_FALSE(compare(before, after).alarm().is_raised());
}

TEST(Comparison, fails_for_longer_round_trips_too) {
  const CellKey idle = key(BenchMode::Tun, Measure::RoundTripIdle);
  const auto with = [&](double p50) { return result_of({cell(idle, {{"p50", {five(p50)}}})}); };
  EXPECT_EQ(compare(with(100), with(130)).alarm().much_worse, 1U);
  EXPECT_FALSE(compare(with(130), with(100)).alarm().is_raised());
}

TEST(Comparison, fails_for_nothing_but_first_figures_of_tunnels_that_are_the_limit) {
  const auto raises = [](const CellKey& of, const std::string& name, bool is_limited = false) {
    Cell before = cell(of, {{name, {five(100)}}});
    Cell after = cell(of, {{name, {five(kind_of(name).more_is_better ? 10 : 1000)}}});
    after.is_limited_by_generator = is_limited;
    const Comparison comparison = compare(result_of({before}), result_of({after}));
    EXPECT_EQ(comparison.count(ChangeVerdict::Worse), 1U) << "it is shown all the same";
    EXPECT_THAT(to_text(comparison, "a", "b"), HasSubstr("\nworse\n"));
    return comparison.alarm().is_raised();
  };
  EXPECT_TRUE(raises(key(BenchMode::Tun, Measure::TcpUp), "throughput"));
  EXPECT_FALSE(raises(key(BenchMode::Tun, Measure::TcpUp), "throughput", true));
  EXPECT_FALSE(raises(key(BenchMode::Uplink, Measure::TcpUp), "throughput"));
  EXPECT_FALSE(raises(key(BenchMode::Tun, Measure::TcpUp), "cpu_per_gib"));
  EXPECT_FALSE(raises(key(BenchMode::Tun, Measure::RoundTripFull), "p99_9"));
  const BenchResult uplink = result_of({cell(key(BenchMode::Uplink, Measure::TcpUp), {{"throughput", {{1}}}})});
  EXPECT_FALSE(compare(uplink, result_of({})).alarm().is_raised());
  EXPECT_THAT(compare(uplink, result_of({})).lost, SizeIs(1));
}

TEST(Comparison, counts_the_cells_whose_first_figures_agree) {
  const CellKey up = key(BenchMode::Tun, Measure::TcpUp);
  const CellKey idle = key(BenchMode::Tun, Measure::RoundTripIdle);
  const CellKey empty = key(BenchMode::Tun, Measure::RoundTripHalf);
  const Comparison comparison =
      compare(result_of({cell(up, {{"throughput", {five(100)}}, {"cpu_per_gib", {five(1)}}}),
                         cell(idle, {{"p50", {five(10)}}, {"p99", {five(20)}}}), cell(empty, {})}),
              result_of({cell(up, {{"throughput", {five(100)}}, {"cpu_per_gib", {five(9)}}}),
                         cell(idle, {{"p50", {five(20)}}, {"p99", {five(20)}}}), cell(empty, {})}));
  EXPECT_EQ(comparison.comparable(), 2U);
  EXPECT_EQ(comparison.alike(), 1U);
  EXPECT_EQ(comparison.count(ChangeVerdict::Worse), 2U);
  EXPECT_THAT(to_text(comparison, "a", "b"), HasSubstr("1 of 2 cells (50 %) agree within their spreads."));
}

TEST(Comparison, says_when_there_is_nothing_to_compare) {
  const std::string text = to_text(compare(result_of({}), result_of({})), "a", "b");
  EXPECT_THAT(text, HasSubstr("No cell is in both."));
  EXPECT_THAT(text, HasSubstr("No cell of both tells whether something is worse.\n"));
}

TEST(Comparison, tells_that_the_machine_was_another) {
  BenchResult before = result_of({});
  before.machine.offloads = {{"tap, offloads on", "device TSO"}};
  BenchResult after = before;
  EXPECT_THAT(compare(before, after).differences, IsEmpty());
  after.machine.kernel = "Linux 6.2\n";
  after.kind = "quick";
  after.machine.versions = {{"libsodium", "1.0.19"}, {"libnew", "1"}};
  after.machine.offloads = {{"tap, offloads on", "device none"}};
  EXPECT_THAT(compare(before, after).differences,
              ElementsAre("kind of run: default → quick", "kernel: Linux 6.1.0 → Linux 6.2?", "libnew: none → 1",
                          "libsodium: 1.0.18 → 1.0.19", "offloads, tap, offloads on: device TSO → device none"));
}

TEST(Comparison, shows_what_changed_with_units_and_spreads) {
  const std::string text = to_text(compared("throughput", five(9.1e9), five(8.1e9)), "a.json", "b.json");
  EXPECT_THAT(text, HasSubstr("a.json → b.json: 1 worse, 0 better, 0 same, 0 not to be told, 0 lost\n"));
  EXPECT_THAT(text, HasSubstr("\nworse\ntun, chacha20-poly1305, offloads on, 1420 bytes, 1 queue, 1 stream, tcp-up\n"));
  EXPECT_THAT(text, HasSubstr("throughput        −11.0 %   9.10 (9.01–9.19) → 8.10 (8.02–8.18) Gbit/s\n"));
  EXPECT_THAT(text, Not(HasSubstr("†")));
  EXPECT_THAT(text, Not(HasSubstr("counted")));
}

TEST(Comparison, says_why_something_worse_does_not_count) {
  const CellKey same = key(BenchMode::Tun, Measure::TcpUp);
  const CellKey uplink = key(BenchMode::Uplink, Measure::TcpUp);
  Cell before = cell(same, {{"throughput", {five(100)}}, {"cpu_per_gib", {five(1)}}});
  before.is_limited_by_generator = true;
  Cell bare = cell(uplink, {{"throughput", {five(100)}}});
  bare.is_limited_by_generator = true;
  const std::string text =
      to_text(compare(result_of({before, bare}),
                      result_of({cell(same, {{"throughput", {five(10)}}, {"cpu_per_gib", {five(2)}}}),
                                 cell(uplink, {{"throughput", {five(10)}}})})),
              "a", "b");
  EXPECT_THAT(text, HasSubstr("1 stream, tcp-up †\n"));
  EXPECT_THAT(text, HasSubstr("tcp-up (no tunnel)\n"));
  EXPECT_THAT(text, HasSubstr("\n† not counted: the load generator"));
  EXPECT_THAT(text, HasSubstr("\nThe bare uplink is not counted"));
  EXPECT_THAT(text, HasSubstr("\nOnly throughput, rate and p50 are counted"));
}

TEST(Comparison, is_json_too) {
  const auto value = boost::json::parse(to_json(compared("throughput", five(100), five(50))));
  EXPECT_EQ(value.at("worse").to_number<int>(), 1);
  EXPECT_TRUE(value.at("is_worse").as_bool());
  EXPECT_EQ(value.at("counted").at("cells").to_number<int>(), 1);
  EXPECT_EQ(value.at("counted").at("worse").to_number<int>(), 1);
  EXPECT_EQ(value.at("counted").at("much_worse").to_number<int>(), 1);
  EXPECT_EQ(value.at("counted").at("chance").to_number<int>(), 0);
  EXPECT_EQ(value.at("counted").at("lost").to_number<int>(), 0);
  EXPECT_TRUE(value.at("lost").as_array().empty());
  EXPECT_EQ(value.at("cells").at(0).at("figures").at("throughput").at("verdict").as_string(), "worse");
  EXPECT_TRUE(value.at("cells").at(0).at("figures").at("throughput").at("counted").as_bool());
  EXPECT_EQ(value.at("cells").at(0).at("figures").at("throughput").at("change").as_double(), -0.5);
  const auto step = boost::json::parse(to_json(compared("system_calls", {0}, {1})));
  EXPECT_TRUE(step.at("cells").at(0).at("figures").at("system_calls").at("change").is_null());
  EXPECT_FALSE(step.at("cells").at(0).at("figures").at("system_calls").at("counted").as_bool());
}

}  // namespace
}  // namespace culvert
