// The search for the highest packet rate that a path carries with no more than some loss.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "culvert/bench/trial.hpp"

namespace culvert {

struct RateGoal {
  double loss_max = 0;             ///< share of packets: 0 for RFC 2544's throughput, 0.005 for FD.io's PDR
  std::optional<double> estimate;  ///< packets a second: what was found in an earlier round, to need fewer trials
};

struct RateSearchLimits {
  double precision = 0.03;      ///< of a result: a trial at a rate higher by this share or less has failed
  double rate_min = 100;        ///< packets a second: a path that loses even here has no rate
  std::size_t trials_max = 40;  ///< of all goals together, which have equal shares; most need a quarter of it
};

struct FoundRate {
  double rate = 0;                       ///< packets a second, of a trial that passed
  bool is_limited_by_generator = false;  ///< beyond it the sender or the sink, not the path, failed
  bool is_precise = false;               ///< else trials_max was reached before
};

/// Says which trial to make next, and learns from how it went; pure. From the estimate, or from what arrived of a first
/// flood, rates go up or down in widening steps, and then half-way between one that passed and one that failed. A trial
/// informs all goals. A single failure proves little (draft-ietf-bmwg-mlrsearch): the trial is repeated, and passing
/// once is enough; but for a plain failure, with two hundredths more loss than allowed at a rate above all without
/// that.
class RateSearch {
 public:
  /// `goals` ascend by loss_max.
  explicit RateSearch(std::vector<RateGoal> goals, const RateSearchLimits& limits = {});

  /// The rate of the next trial, zero for a flood; nothing when all is found. The same until told() is called.
  [[nodiscard]] std::optional<double> next() const;
  /// How the trial went whose rate next() gave.
  void told(const UdpOutcome& outcome);

  /// For the goal with this index; nothing if even rate_min is too much, or trials_max was reached before a trial
  /// passed.
  [[nodiscard]] std::optional<FoundRate> found(std::size_t goal) const;
  [[nodiscard]] std::size_t trials() const noexcept { return trials_.size(); }

 private:
  struct Trial {
    double wanted = 0;     ///< packets a second; of a flood what was sent
    double rate = 0;       ///< what was sent of it, where the sender took longer
    double loss = 0;       ///< of what was wanted, what came late with it
    double path_loss = 0;  ///< of what was sent and the sink had room for
    double arrived = 0;    ///< packets a second
    bool is_flood = false;
  };
  /// What trials say about one goal.
  struct Bounds {
    std::optional<double> low, high;  ///< the highest rate that passed, and the lowest that failed, above it
    std::optional<double> doubtful;   ///< failed once: to be repeated
    double passed = 0;                ///< Trial::rate of `low`
    bool is_limited_by_generator = false;
    bool has_passed_flood = false;  ///< there is no more to be had
  };
  [[nodiscard]] Bounds bounds_of(const RateGoal& goal) const;
  [[nodiscard]] bool is_found(const Bounds& bounds) const;
  [[nodiscard]] bool has_passed(const RateGoal& goal, double wanted) const;
  [[nodiscard]] double start_of(std::size_t goal) const;
  [[nodiscard]] double candidate(double start, const Bounds& bounds) const;

  std::vector<RateGoal> goals_;
  RateSearchLimits limits_;
  std::vector<Trial> trials_;
};

}  // namespace culvert
