// Rounds, stages, steps, and what each adds to its cells.
#include "culvert/bench/sweep.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>

#include "culvert/bench/processor_time.hpp"
#include "culvert/bench/rate_search.hpp"
#include "culvert/bench/time_profile.hpp"

namespace culvert {
namespace {

constexpr double gibibyte = 1 << 30;
/// Of IPv4 and TCP with timestamps, in each packet.
constexpr double tcp_header_size = 52;
/// A cell that comes nearer than this to what the generator does without a tunnel tells of the generator.
constexpr double generator_share = 0.9;

/// Round trips below which there are no percentiles, no 99th, and no 99.9th: it would be no more than the longest.
constexpr std::size_t samples_min = 10;
constexpr std::size_t samples_for_hundredth = 100;
constexpr std::size_t samples_for_thousandth = 1000;

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

CellKey key_of(const Arrangement& arrangement, const BenchStep& step, Measure measure) {
  CellKey key;
  key.mode = arrangement.mode;
  if (arrangement.mode != BenchMode::Uplink) key.cipher = to_string(arrangement.cipher);
  key.offloads = arrangement.offloads;
  key.queues = arrangement.queues;
  key.streams = step.streams;
  key.packet_size = step.packet_size;
  key.measure = measure;
  return key;
}

std::string words_of(const Arrangement& arrangement) {
  std::string words(to_string(arrangement.mode));
  if (arrangement.mode == BenchMode::Uplink) return words;
  words +=
      " " + std::string(to_string(arrangement.cipher)) + ", offloads " + std::string(to_string(arrangement.offloads));
  if (arrangement.queues != 1) words += ", " + std::to_string(arrangement.queues) + " queues";
  return words;
}

std::string words_of(const BenchStep& step) {
  switch (step.kind) {
    case BenchStep::Kind::Tcp:
      return "TCP" + (step.streams == 1 ? std::string() : ", " + std::to_string(step.streams) + " streams");
    case BenchStep::Kind::Rates:
      return "packets of " + std::to_string(step.packet_size) + " bytes";
    case BenchStep::Kind::RoundTrips:
      return "round trips";
    case BenchStep::Kind::Timestamps:
      break;
  }
  return "time stamps";
}

/// The p-th percentile: the least value that this share of all does not exceed.
double percentile(const std::vector<std::chrono::nanoseconds>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return static_cast<double>(sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1].count()) / 1000;
}

class Sweeper {
 public:
  Sweeper(const OpenTunnel& open, std::span<const BenchStage> plan, const SweepSettings& settings,
          const OnSweepProgress& on_progress)
      : open_(open), plan_(plan), settings_(settings), on_progress_(on_progress), random_(settings.seed) {
    if (const auto obstacle = TimeProfile::obstacle()) {
      note("Where time goes was not measured: " + *obstacle + ".");
    } else {
      symbols_.emplace(KernelSymbols::load());
      if (symbols_->is_empty())
        note("Copies in the kernel count as its other work: it does not tell its symbols (kernel.kptr_restrict).");
    }
    for (const BenchStage& stage : plan_) expected_ += expected_time_of(stage);
    expected_ *= settings_.rounds;
  }

  BenchResult run() {
    const auto begun = std::chrono::steady_clock::now();
    std::vector<const BenchStage*> order;
    for (const BenchStage& stage : plan_) order.push_back(&stage);
    for (unsigned round = 0; round < settings_.rounds && !is_lost_; ++round) {
      std::ranges::shuffle(order, random_);
      for (const BenchStage* stage : order) {
        if (!is_lost_) run_stage(*stage);
      }
      if (!has_measured_a_tunnel()) throw std::runtime_error(first_failure_.value_or("nothing was measured"));
    }
    mark_limits();
    for (auto& [key, cell] : cells_) result_.cells.push_back(std::move(cell));
    result_.rounds = settings_.rounds;
    result_.seed = settings_.seed;
    result_.seconds = seconds(std::chrono::steady_clock::now() - begun);
    return std::move(result_);
  }

 private:
  [[nodiscard]] std::chrono::milliseconds expected_time_of(const BenchStage& stage) const {
    std::chrono::milliseconds time = expected_setup_time;
    for (const BenchStep& step : stage.steps) time += expected_time(step, settings_.times);
    return time;
  }

  [[nodiscard]] bool has_measured_a_tunnel() const {
    return std::ranges::any_of(cells_, [](const auto& cell) { return cell.first.mode != BenchMode::Uplink; });
  }

  void note(const std::string& text) {
    if (noted_.insert(text).second) result_.notes.push_back(text);
  }

  void failed(const std::string& what, const std::exception& error) {
    if (!first_failure_) first_failure_ = what + ": " + error.what();
    note(what + " failed in a round: " + error.what());
  }

  void tell(const BenchStage& stage, const BenchStep* step) {
    if (!on_progress_) return;
    const std::string words = words_of(stage.arrangement);
    on_progress_({static_cast<double>(done_.count()) / static_cast<double>(expected_.count()),
                  step ? words + ": " + words_of(*step) : words});
  }

  /// Round trips come last: they need the rates.
  std::vector<BenchStep> in_order_by_lot(std::vector<BenchStep> steps) {
    std::ranges::shuffle(steps, random_);
    std::ranges::stable_partition(steps,
                                  [](const BenchStep& step) { return step.kind != BenchStep::Kind::RoundTrips; });
    return steps;
  }

  void run_stage(const BenchStage& stage) {
    const auto done_after = done_ + expected_time_of(stage);
    try {
      tell(stage, nullptr);
      const std::unique_ptr<MeasuredTunnel> opened = open_(stage.arrangement);
      MeasuredTunnel& tunnel = *opened;
      done_ += expected_setup_time;
      remember_paths(stage.arrangement, tunnel);
      for (const BenchStep& step : in_order_by_lot(stage.steps)) {
        tell(stage, &step);
        if (is_lost_) break;
        try {
          run_step(stage.arrangement, step, tunnel);
        } catch (const PathLost& error) {
          is_lost_ = true;
          failed(words_of(stage.arrangement) + ": " + words_of(step) + ", and all after it,", error);
        } catch (const std::exception& error) {
          failed(words_of(stage.arrangement) + ": " + words_of(step), error);
        }
        done_ += expected_time(step, settings_.times);
      }
    } catch (const std::exception& error) {
      failed(words_of(stage.arrangement), error);
    }
    done_ = done_after;
  }

  void run_step(const Arrangement& arrangement, const BenchStep& step, MeasuredTunnel& tunnel) {
    switch (step.kind) {
      case BenchStep::Kind::Tcp:
        return run_tcp(arrangement, step, tunnel);
      case BenchStep::Kind::Rates:
        return run_rates(arrangement, step, tunnel);
      case BenchStep::Kind::RoundTrips:
        return run_round_trips(arrangement, step, tunnel);
      case BenchStep::Kind::Timestamps:
        return run_timestamps(step, tunnel);
    }
  }

  Cell& cell(const CellKey& key) {
    Cell& cell = cells_[key];
    cell.key = key;
    return cell;
  }
  static void add(Cell& cell, const char* name, double value) { cell.figures[name].rounds.push_back(value); }

  /// What a trial cost, and where its time went if that is asked for.
  struct Spent {
    std::optional<EngineCost> cost;
    std::optional<TimeShares> shares;
  };
  template <class Trial>
  auto measured(const Trial& trial, MeasuredTunnel& tunnel, bool is_profiled, Spent& spent) {
    std::optional<TimeProfile> profile;
    const std::optional<EngineCost> before = tunnel.cost();
    const std::vector<pid_t> processes = tunnel.processes();
    if (is_profiled && symbols_ && !processes.empty()) profile.emplace(*symbols_, processes);
    auto outcome = tunnel.path().run(trial);
    spent.cost = tunnel.cost();
    if (!before) spent.cost.reset();
    if (spent.cost) *spent.cost -= *before;
    if (profile) spent.shares = profile->end();
    return outcome;
  }

  static void add_drops(Cell& cell, const Spent& spent) {
    if (!spent.cost) return;
    for (const auto& [reason, count] : spent.cost->drops) cell.drops[reason] += count;
  }

  static void add_costs(Cell& cell, const Spent& spent, const char* processor_name, double units, double packets) {
    if (!spent.cost) return;
    add(cell, processor_name, seconds(spent.cost->processor) / units);
    add(cell, "system_calls", static_cast<double>(spent.cost->system_calls) / packets);
    add_drops(cell, spent);
    if (!spent.shares) return;
    add(cell, "time_crypto", spent.shares->crypto);
    add(cell, "time_engine", spent.shares->engine);
    add(cell, "time_copies", spent.shares->copies);
    add(cell, "time_kernel", spent.shares->kernel);
  }

  void run_tcp(const Arrangement& arrangement, const BenchStep& step, MeasuredTunnel& tunnel) {
    TcpTrial trial;
    trial.direction = step.tcp == Measure::TcpUp     ? Direction::Up
                      : step.tcp == Measure::TcpDown ? Direction::Down
                                                     : Direction::Both;
    trial.streams = step.streams;
    trial.warm_up = settings_.times.warm_up;
    trial.duration = settings_.times.tcp;
    Spent spent;
    const TcpOutcome outcome = measured(trial, tunnel, step.is_profiled, spent);
    const auto counted = static_cast<double>(outcome.bytes_up + outcome.bytes_down);
    const auto all = static_cast<double>(outcome.bytes_in_all);
    if (counted == 0 || all == 0) throw std::runtime_error("TCP delivered nothing");
    Cell& cell = this->cell(key_of(arrangement, step, step.tcp));
    add(cell, "throughput", counted * 8 / seconds(outcome.elapsed));
    add_costs(cell, spent, "cpu_per_gib", all / gibibyte, all / (step.packet_size - tcp_header_size));
  }

  void run_rates(const Arrangement& arrangement, const BenchStep& step, MeasuredTunnel& tunnel) {
    struct Goal {
      Measure measure;
      double loss_max;
    };
    constexpr std::array<Goal, 2> goals{{{Measure::RateWithoutLoss, 0}, {Measure::RateAtHalfPercent, 0.005}}};
    struct Trial {
      double rate;
      UdpOutcome outcome;
      Spent spent;
    };
    std::vector<RateGoal> wanted;
    for (const Goal& goal : goals) {
      const auto estimate = rates_.find(key_of(arrangement, step, goal.measure));
      wanted.push_back({goal.loss_max, estimate == rates_.end() ? std::nullopt : std::optional(estimate->second)});
    }
    RateSearch search(std::move(wanted));
    std::vector<Trial> trials;
    while (const auto rate = search.next()) {
      UdpTrial trial;
      trial.packet_size = step.packet_size;
      trial.flows = step.streams;
      trial.rate = *rate;
      trial.duration = settings_.times.udp;
      Spent spent;
      const UdpOutcome outcome = measured(trial, tunnel, step.is_profiled, spent);
      search.told(outcome);
      trials.push_back({static_cast<double>(outcome.sent) / seconds(outcome.elapsed), outcome, std::move(spent)});
    }
    for (std::size_t i = 0; i < goals.size(); ++i) {
      const CellKey key = key_of(arrangement, step, goals[i].measure);
      const std::optional<FoundRate> found = search.found(i);
      if (!found) {
        note(words_of(arrangement) + ": in a round no rate was found at which packets of " +
             std::to_string(step.packet_size) + " bytes pass " +
             (goals[i].loss_max == 0 ? "without loss" : "with 0.5 % loss"));
        continue;
      }
      rates_[key] = found->rate;
      Cell& cell = this->cell(key);
      add(cell, "rate", found->rate);
      rounds_limited_[key] += static_cast<std::size_t>(found->is_limited_by_generator);
      // What it costs is what the trial at that rate did.
      const auto nearest = std::ranges::min_element(trials, {}, [&](const Trial& trial) {
        const bool has_passed = trial.outcome.received != 0 && trial.outcome.loss() <= goals[i].loss_max;
        return has_passed ? std::abs(trial.rate - found->rate) : std::numeric_limits<double>::infinity();
      });
      const auto packets = static_cast<double>(nearest->outcome.received);
      if (packets != 0) add_costs(cell, nearest->spent, "cpu_per_mpacket", packets / 1e6, packets);
    }
  }

  void run_round_trips(const Arrangement& arrangement, const BenchStep& step, MeasuredTunnel& tunnel) {
    const auto full = rates_.find(key_of(arrangement, step, Measure::RateWithoutLoss));
    struct Load {
      Measure measure;
      double share;
    };
    for (const Load& load :
         {Load{Measure::RoundTripIdle, 0}, Load{Measure::RoundTripHalf, 0.5}, Load{Measure::RoundTripFull, 1}}) {
      RoundTripTrial trial;
      trial.packet_size = step.packet_size;
      trial.duration = settings_.times.round_trips;
      if (load.share > 0) {
        if (full == rates_.end()) return;
        trial.load.emplace();
        trial.load->packet_size = step.packet_size;
        trial.load->flows = step.streams;
        trial.load->rate = full->second * load.share;
      }
      Spent spent;
      RoundTripOutcome outcome = measured(trial, tunnel, false, spent);
      const std::size_t answered = outcome.times.size();
      if (answered < samples_min) {
        note(words_of(arrangement) + ": " + std::string(to_string(load.measure)) +
             " was left out of a round, in which too few packets were answered");
        continue;
      }
      std::ranges::sort(outcome.times);
      Cell& cell = this->cell(key_of(arrangement, step, load.measure));
      add(cell, "p50", percentile(outcome.times, 0.5));
      if (answered >= samples_for_hundredth) add(cell, "p99", percentile(outcome.times, 0.99));
      if (answered >= samples_for_thousandth) add(cell, "p99_9", percentile(outcome.times, 0.999));
      add(cell, "lost", static_cast<double>(outcome.lost) / static_cast<double>(answered + outcome.lost));
      add_drops(cell, spent);
    }
  }

  /// By processor time, because the rate of a flood varies by more than what is looked for.
  void run_timestamps(const BenchStep& step, MeasuredTunnel& tunnel) {
    constexpr int pairs = 4;
    struct Sum {
      double processor = 0;
      double packets = 0;
    };
    Sum with, without;
    for (int i = 0; i < 2 * pairs; ++i) {
      UdpTrial trial;
      trial.packet_size = step.packet_size;
      trial.duration = settings_.times.udp / 2;
      // In the order with, without, without, with, so that drift hits both alike.
      trial.has_timestamps = i % 4 == 0 || i % 4 == 3;
      const auto before = processor_time_of(::getpid());
      const UdpOutcome outcome = tunnel.path().run(trial);
      Sum& sum = trial.has_timestamps ? with : without;
      sum.processor += seconds(*processor_time_of(::getpid()) - *before);
      sum.packets += static_cast<double>(outcome.sent);
    }
    if (with.packets == 0 || without.processor == 0) return;
    const double ratio = (with.processor / with.packets) / (without.processor / without.packets);
    result_.generator["timestamps"].rounds.push_back(ratio - 1);
  }

  void remember_paths(const Arrangement& arrangement, const MeasuredTunnel& tunnel) {
    const std::optional<EnginePaths> paths = tunnel.paths();
    if (!paths || !known_paths_.insert({arrangement.mode, arrangement.offloads}).second) return;
    const std::string what =
        std::string(to_string(arrangement.mode)) + ", offloads " + std::string(to_string(arrangement.offloads));
    result_.machine.offloads.emplace_back(
        what, "device " + paths->device + "; sending " + paths->sending + "; receiving " + paths->receiving);
  }

  /// Marks what says more of the generator than of the tunnel: a rate beyond which the generator failed in most rounds,
  /// and TCP that comes near what the bare uplink carries the same way.
  void mark_limits() {
    for (auto& [key, cell] : cells_) {
      if (key.mode == BenchMode::Uplink) continue;
      if (const auto rate = cell.figures.find("rate"); rate != cell.figures.end()) {
        cell.is_limited_by_generator = 2 * rounds_limited_[key] > rate->second.rounds.size();
      }
      const auto throughput = cell.figures.find("throughput");
      if (throughput == cell.figures.end()) continue;
      for (const auto& [other, bare] : cells_) {
        const bool is_alike =
            other.mode == BenchMode::Uplink && other.measure == key.measure && other.streams == key.streams;
        if (!is_alike) continue;
        const double ceiling = bare.figures.at("throughput").median();
        cell.is_limited_by_generator = throughput->second.median() >= generator_share * ceiling;
      }
    }
  }

  const OpenTunnel& open_;
  std::span<const BenchStage> plan_;
  SweepSettings settings_;
  const OnSweepProgress& on_progress_;
  std::mt19937_64 random_;
  std::optional<KernelSymbols> symbols_;
  std::chrono::milliseconds expected_{0};
  std::chrono::milliseconds done_{0};
  std::map<CellKey, Cell> cells_;
  std::map<CellKey, double> rates_;  ///< of the last round that found one
  std::map<CellKey, std::size_t> rounds_limited_;
  std::set<std::pair<BenchMode, OffloadRung>> known_paths_;
  std::set<std::string> noted_;
  bool is_lost_ = false;  ///< there is nothing to be measured any more
  std::optional<std::string> first_failure_;
  BenchResult result_;
};

}  // namespace

BenchResult sweep(const OpenTunnel& open, std::span<const BenchStage> plan, const SweepSettings& settings,
                  const OnSweepProgress& on_progress) {
  return Sweeper(open, plan, settings, on_progress).run();
}

}  // namespace culvert
