#include "culvert/bench/sweep.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace culvert {
namespace {

using std::chrono::milliseconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// What a path can do, and what it was asked for.
struct Abilities {
  std::uint64_t bytes = 125'000'000;  ///< of TCP per trial, counted, each way
  double rate = 100'000;              ///< packets a second that arrive
  double flood = 400'000;             ///< that the sender can send
  std::size_t answers = 1000;         ///< of a round-trip trial: 1 us, 2 us …
  std::uint64_t lost = 0;
  bool fails_at_tcp = false;
  int trials_until_lost = 1'000'000;
  std::vector<std::string> asked;
};

class FakePath : public MeasuredPath {
 public:
  FakePath(Abilities& abilities, EngineCost& cost) : abilities_(abilities), cost_(cost) {}

  TcpOutcome run(const TcpTrial& trial) override {
    abilities_.asked.push_back("tcp");
    if (--abilities_.trials_until_lost < 0) throw PathLost("the peer is gone");
    if (abilities_.fails_at_tcp) throw std::runtime_error("no connection");
    TcpOutcome outcome;
    if (trial.direction != Direction::Down) outcome.bytes_up = abilities_.bytes;
    if (trial.direction != Direction::Up) outcome.bytes_down = abilities_.bytes;
    outcome.bytes_in_all = 2 * (outcome.bytes_up + outcome.bytes_down);
    outcome.elapsed = std::chrono::seconds(1);
    spend(milliseconds(500), 1000);
    return outcome;
  }

  UdpOutcome run(const UdpTrial& trial) override {
    abilities_.asked.push_back("udp " + std::to_string(trial.packet_size));
    const double seconds = std::chrono::duration<double>(trial.duration).count();
    const double offered = trial.rate == 0 ? abilities_.flood : trial.rate;
    const double sent = std::min(offered, abilities_.flood);
    UdpOutcome outcome;
    outcome.wanted = static_cast<std::uint64_t>(offered * seconds);
    outcome.sent = static_cast<std::uint64_t>(sent * seconds);
    outcome.received = static_cast<std::uint64_t>(std::min(sent, abilities_.rate) * seconds);
    outcome.elapsed = trial.duration;
    // Two microseconds and three calls for each packet that arrives.
    spend(std::chrono::microseconds(2 * outcome.received), 3 * outcome.received);
    if (outcome.received < outcome.sent) cost_.drops["device_error"] += outcome.sent - outcome.received;
    return outcome;
  }

  RoundTripOutcome run(const RoundTripTrial& trial) override {
    abilities_.asked.push_back("round trips of " + std::to_string(trial.packet_size) + " beside " +
                               std::to_string(trial.load ? static_cast<int>(trial.load->rate) : 0));
    RoundTripOutcome outcome;
    for (std::size_t i = abilities_.answers; i > 0; --i) outcome.times.push_back(std::chrono::microseconds(i));
    outcome.lost = abilities_.lost;
    return outcome;
  }

 private:
  void spend(std::chrono::nanoseconds time, std::uint64_t calls) {
    cost_.processor += time;
    cost_.system_calls += calls;
  }

  Abilities& abilities_;
  EngineCost& cost_;
};

class FakeTunnel : public MeasuredTunnel {
 public:
  FakeTunnel(Abilities& abilities, bool has_engines) : path_(abilities, cost_), has_engines_(has_engines) {}
  MeasuredPath& path() override { return path_; }
  std::optional<EngineCost> cost() override { return has_engines_ ? std::optional(cost_) : std::nullopt; }

 private:
  EngineCost cost_;
  FakePath path_;
  bool has_engines_;
};

class SweepTest : public testing::Test {
 protected:
  BenchResult run(const std::vector<BenchStage>& plan, unsigned rounds = 5) {
    SweepSettings settings;
    settings.rounds = rounds;
    const auto open = [this](const Arrangement& arrangement) -> std::unique_ptr<MeasuredTunnel> {
      const bool is_uplink = arrangement.mode == BenchMode::Uplink;
      if (!is_uplink && arrangement.mode == broken_) throw std::runtime_error("no such device");
      return std::make_unique<FakeTunnel>(is_uplink ? uplink : tunnel, !is_uplink);
    };
    return sweep(open, plan, settings);
  }

  static BenchStage stage(BenchMode mode, std::vector<BenchStep> steps) {
    return {{mode, {}, {}, 1, 1420}, std::move(steps)};
  }
  static BenchStep tcp(Measure measure, unsigned streams = 1) {
    return {BenchStep::Kind::Tcp, measure, streams, 1420, false};
  }
  static BenchStep rates() { return {BenchStep::Kind::Rates, Measure::RateWithoutLoss, 1, 64, false}; }
  static BenchStep round_trips() { return {BenchStep::Kind::RoundTrips, Measure::RateWithoutLoss, 1, 64, false}; }

  static const Cell& cell(const BenchResult& result, BenchMode mode, Measure measure) {
    const auto found = std::ranges::find_if(
        result.cells, [&](const Cell& cell) { return cell.key.mode == mode && cell.key.measure == measure; });
    if (found == result.cells.end()) throw std::out_of_range("there is no such cell");
    return *found;
  }
  static double median(const Cell& cell, const std::string& figure) { return cell.figures.at(figure).median(); }

  Abilities uplink, tunnel;
  std::optional<BenchMode> broken_;
};

TEST_F(SweepTest, throughput_is_bits_that_were_counted_in_a_second) {
  const auto result = run({stage(BenchMode::Tun, {tcp(Measure::TcpUp), tcp(Measure::TcpBoth)})});
  EXPECT_DOUBLE_EQ(median(cell(result, BenchMode::Tun, Measure::TcpUp), "throughput"), 1e9);
  EXPECT_DOUBLE_EQ(median(cell(result, BenchMode::Tun, Measure::TcpBoth), "throughput"), 2e9);
  EXPECT_EQ(cell(result, BenchMode::Tun, Measure::TcpUp).figures.at("throughput").rounds.size(), 5);
}

TEST_F(SweepTest, costs_of_tcp_are_shared_out_among_all_bytes_that_were_carried) {
  tunnel.bytes = std::uint64_t{1} << 29;
  const auto result = run({stage(BenchMode::Tun, {tcp(Measure::TcpUp)})});
  const Cell& up = cell(result, BenchMode::Tun, Measure::TcpUp);
  EXPECT_DOUBLE_EQ(median(up, "cpu_per_gib"), 0.5);
  EXPECT_NEAR(median(up, "system_calls"), 1000 / ((1 << 30) / 1368.0), 1e-9);
}

TEST_F(SweepTest, a_rate_is_the_highest_that_passes_and_costs_what_it_cost_there) {
  const auto result = run({stage(BenchMode::Tap, {rates()})});
  for (const Measure measure : {Measure::RateWithoutLoss, Measure::RateAtHalfPercent}) {
    const Cell& found = cell(result, BenchMode::Tap, measure);
    EXPECT_NEAR(median(found, "rate"), 100'000, 4'000);
    EXPECT_NEAR(median(found, "cpu_per_mpacket"), 2, 1e-6);
    EXPECT_NEAR(median(found, "system_calls"), 3, 1e-6);
    EXPECT_FALSE(found.is_limited_by_generator);
  }
  // At that rate nothing was dropped, whatever floods were.
  EXPECT_THAT(cell(result, BenchMode::Tap, Measure::RateWithoutLoss).drops, IsEmpty());
}

TEST_F(SweepTest, a_rate_beyond_which_the_sender_fails_is_marked) {
  tunnel.rate = 1e9;
  const auto result = run({stage(BenchMode::Tun, {rates()})});
  EXPECT_TRUE(cell(result, BenchMode::Tun, Measure::RateWithoutLoss).is_limited_by_generator);
}

TEST_F(SweepTest, tcp_near_what_the_bare_uplink_does_the_same_way_is_marked) {
  uplink.bytes = tunnel.bytes * 10 / 9;
  const std::vector<BenchStage> plan{stage(BenchMode::Uplink, {tcp(Measure::TcpUp)}),
                                     stage(BenchMode::Tun, {tcp(Measure::TcpUp), tcp(Measure::TcpBoth)})};
  auto result = run(plan);
  EXPECT_TRUE(cell(result, BenchMode::Tun, Measure::TcpUp).is_limited_by_generator);
  // Nothing alike was measured.
  EXPECT_FALSE(cell(result, BenchMode::Tun, Measure::TcpBoth).is_limited_by_generator);
  EXPECT_FALSE(cell(result, BenchMode::Uplink, Measure::TcpUp).is_limited_by_generator);
  uplink.bytes = tunnel.bytes * 12 / 10;
  result = run(plan);
  EXPECT_FALSE(cell(result, BenchMode::Tun, Measure::TcpUp).is_limited_by_generator);
}

TEST_F(SweepTest, percentiles_are_the_least_times_that_so_many_do_not_exceed) {
  const auto result = run({stage(BenchMode::Tun, {rates(), round_trips()})});
  const Cell& idle = cell(result, BenchMode::Tun, Measure::RoundTripIdle);
  EXPECT_DOUBLE_EQ(median(idle, "p50"), 500);
  EXPECT_DOUBLE_EQ(median(idle, "p99"), 990);
  EXPECT_DOUBLE_EQ(median(idle, "p99_9"), 999);
  EXPECT_DOUBLE_EQ(median(idle, "lost"), 0);
}

TEST_F(SweepTest, of_too_few_answers_there_are_no_percentiles) {
  tunnel.answers = 999;
  tunnel.lost = 1;
  auto result = run({stage(BenchMode::Tun, {rates(), round_trips()})});
  EXPECT_FALSE(cell(result, BenchMode::Tun, Measure::RoundTripIdle).figures.contains("p99_9"));
  EXPECT_DOUBLE_EQ(median(cell(result, BenchMode::Tun, Measure::RoundTripIdle), "lost"), 0.001);
  tunnel.answers = 99;
  result = run({stage(BenchMode::Tun, {rates(), round_trips()})});
  EXPECT_FALSE(cell(result, BenchMode::Tun, Measure::RoundTripIdle).figures.contains("p99"));
  EXPECT_TRUE(cell(result, BenchMode::Tun, Measure::RoundTripIdle).figures.contains("p50"));
  tunnel.answers = 9;
  result = run({stage(BenchMode::Tun, {rates(), round_trips()})});
  EXPECT_THROW((void)cell(result, BenchMode::Tun, Measure::RoundTripIdle), std::out_of_range);
  EXPECT_THAT(result.notes, Contains(HasSubstr("too few packets were answered")));
}

TEST_F(SweepTest, round_trips_go_beside_half_and_all_of_the_rate_that_was_found) {
  const auto result = run({stage(BenchMode::Tun, {round_trips(), rates()})}, 1);
  const int rate = static_cast<int>(median(cell(result, BenchMode::Tun, Measure::RateWithoutLoss), "rate"));
  EXPECT_THAT(tunnel.asked, Contains("round trips of 64 beside 0"));
  EXPECT_THAT(tunnel.asked, Contains("round trips of 64 beside " + std::to_string(rate / 2)));
  EXPECT_THAT(tunnel.asked, Contains("round trips of 64 beside " + std::to_string(rate)));
}

TEST_F(SweepTest, a_step_that_fails_is_noted_and_the_others_go_on) {
  tunnel.fails_at_tcp = true;
  const auto result = run({stage(BenchMode::Tun, {tcp(Measure::TcpUp), rates()})});
  EXPECT_THROW((void)cell(result, BenchMode::Tun, Measure::TcpUp), std::out_of_range);
  EXPECT_EQ(cell(result, BenchMode::Tun, Measure::RateWithoutLoss).figures.at("rate").rounds.size(), 5);
  EXPECT_THAT(result.notes, Contains(HasSubstr("TCP failed in a round: no connection")));
}

TEST_F(SweepTest, when_the_path_is_lost_it_ends_and_keeps_what_it_has) {
  tunnel.trials_until_lost = 3;
  const auto result = run({stage(BenchMode::Tun, {tcp(Measure::TcpUp)})});
  EXPECT_EQ(cell(result, BenchMode::Tun, Measure::TcpUp).figures.at("throughput").rounds.size(), 3);
  EXPECT_THAT(result.notes, Contains(HasSubstr("and all after it, failed in a round: the peer is gone")));
  EXPECT_THAT(tunnel.asked, testing::SizeIs(4));
}

TEST_F(SweepTest, a_tunnel_that_does_not_come_up_is_noted_and_the_others_go_on) {
  broken_ = BenchMode::Tap;
  const auto result = run({stage(BenchMode::Tap, {tcp(Measure::TcpUp)}), stage(BenchMode::Tun, {tcp(Measure::TcpUp)})});
  EXPECT_THAT(result.notes, Contains(HasSubstr("no such device")));
  EXPECT_EQ(result.cells.size(), 1);
}

TEST_F(SweepTest, when_no_tunnel_comes_up_in_the_first_round_it_says_why) {
  broken_ = BenchMode::Tun;
  try {
    (void)run({stage(BenchMode::Uplink, {tcp(Measure::TcpUp)}), stage(BenchMode::Tun, {tcp(Measure::TcpUp)})});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("no such device"));
  }
  EXPECT_THAT(uplink.asked, ElementsAre("tcp"));
}

TEST_F(SweepTest, the_seed_decides_the_order_and_rounds_differ_in_it) {
  const std::vector<BenchStage> plan{stage(BenchMode::Tun, {tcp(Measure::TcpUp), rates()})};
  (void)run(plan);
  const std::vector<std::string> first = std::exchange(tunnel.asked, {});
  (void)run(plan);
  EXPECT_EQ(first, tunnel.asked);
  EXPECT_THAT(first, Contains("tcp"));
}

TEST_F(SweepTest, figures_have_names_that_readers_know) {
  const auto result = run({stage(BenchMode::Tun, {tcp(Measure::TcpUp), rates(), round_trips()})});
  for (const Cell& cell : result.cells) {
    for (const auto& [name, figure] : cell.figures) {
      EXPECT_NE(std::ranges::find(figure_kinds, name, &FigureKind::name), std::end(figure_kinds)) << name;
    }
  }
}

}  // namespace
}  // namespace culvert
