// Bounds that close in on a rate.
#include "culvert/bench/rate_search.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>

namespace culvert {

namespace {

/// So much more loss than allowed is no accident.
constexpr double plain_excess = 0.02;
constexpr double rate_max = 1e9;

double share(double part, double whole) noexcept {
  return whole > 0 ? std::clamp(part / whole, 0.0, 1.0) : 0;
}

}  // namespace

RateSearch::RateSearch(std::vector<RateGoal> goals, const RateSearchLimits& limits)
    : goals_(std::move(goals)), limits_(limits) {
  assert(std::ranges::is_sorted(goals_, {}, &RateGoal::loss_max));
}

std::optional<double> RateSearch::next() const {
  if (trials_.size() >= limits_.trials_max || goals_.empty()) return std::nullopt;
  if (trials_.empty() && !goals_.front().estimate) return 0;
  for (std::size_t i = 0; i < goals_.size(); ++i) {
    const Bounds bounds = bounds_of(goals_[i]);
    // A goal that cannot be reached leaves their share of the trials to the others.
    if (is_found(bounds) || trials_.size() >= limits_.trials_max * (i + 1) / goals_.size()) continue;
    return bounds.doubtful ? *bounds.doubtful : candidate(start_of(i), bounds);
  }
  return std::nullopt;
}

void RateSearch::told(const UdpOutcome& outcome) {
  const std::optional<double> asked = next();
  assert(asked);
  const double elapsed = std::max(std::chrono::duration<double>(outcome.elapsed).count(), 1e-9);
  const auto sent = static_cast<double>(outcome.sent);
  const double received = static_cast<double>(outcome.received) * outcome.share_in_time();
  Trial trial{.wanted = *asked, .rate = sent / elapsed, .loss = outcome.loss(), .arrived = received / elapsed};
  trial.is_flood = *asked == 0;
  if (trial.is_flood) trial.wanted = trial.rate;
  trial.rate = std::min(trial.rate, trial.wanted);
  trial.path_loss = 1 - share(received + static_cast<double>(outcome.sink_drops), sent);
  trials_.push_back(trial);
}

std::optional<FoundRate> RateSearch::found(std::size_t goal) const {
  const Bounds bounds = bounds_of(goals_[goal]);
  if (!bounds.low) return std::nullopt;
  return FoundRate{
      .rate = bounds.passed, .is_limited_by_generator = bounds.is_limited_by_generator, .is_precise = is_found(bounds)};
}

bool RateSearch::has_passed(const RateGoal& goal, double wanted) const {
  return std::ranges::any_of(trials_,
                             [&](const Trial& trial) { return trial.wanted == wanted && trial.loss <= goal.loss_max; });
}

RateSearch::Bounds RateSearch::bounds_of(const RateGoal& goal) const {
  Bounds bounds;
  double highest_fair = 0;
  for (const Trial& trial : trials_) {
    if (trial.loss <= goal.loss_max + plain_excess) highest_fair = std::max(highest_fair, trial.wanted);
    bounds.has_passed_flood |= trial.is_flood && trial.loss <= goal.loss_max && trial.wanted > 0;
  }

  const auto fails = [&](const Trial& trial) { return trial.loss > goal.loss_max && !has_passed(goal, trial.wanted); };
  const auto is_certain = [&](const Trial& trial) {
    if (trial.is_flood || trial.wanted > highest_fair) return true;
    return std::ranges::count(trials_, trial.wanted, &Trial::wanted) > 1;
  };
  for (const Trial& trial : trials_) {
    if (!fails(trial)) continue;
    std::optional<double>& bound = is_certain(trial) ? bounds.high : bounds.doubtful;
    bound = std::min(bound.value_or(trial.wanted), trial.wanted);
  }
  if (bounds.doubtful && bounds.high && *bounds.doubtful >= *bounds.high) bounds.doubtful.reset();

  // What passed above a rate that failed for certain passed by luck.
  for (const Trial& trial : trials_) {
    if (trial.loss > goal.loss_max || trial.wanted <= 0 || (bounds.high && trial.wanted >= *bounds.high)) continue;
    if (bounds.low && trial.wanted < *bounds.low) continue;
    bounds.passed = bounds.low == trial.wanted ? std::max(bounds.passed, trial.rate) : trial.rate;
    bounds.low = trial.wanted;
  }
  bounds.is_limited_by_generator =
      bounds.has_passed_flood || (bounds.high && std::ranges::all_of(trials_, [&](const Trial& trial) {
                                    return trial.wanted != *bounds.high || trial.path_loss <= goal.loss_max;
                                  }));
  return bounds;
}

bool RateSearch::is_found(const Bounds& bounds) const {
  if (bounds.doubtful) return false;
  if (bounds.has_passed_flood && !bounds.high) return true;
  if (!bounds.high) return bounds.low && *bounds.low >= rate_max;
  if (!bounds.low) return *bounds.high <= limits_.rate_min;
  return *bounds.high <= *bounds.low * (1 + limits_.precision) * (1 + 1e-9);
}

double RateSearch::start_of(std::size_t goal) const {
  double start = limits_.rate_min;
  if (goals_[goal].estimate) {
    start = *goals_[goal].estimate;
  } else if (const auto stricter = goal > 0 ? bounds_of(goals_[goal - 1]).low : std::nullopt) {
    start = *stricter;
  } else if (trials_.front().is_flood) {
    start = trials_.front().arrived;
  }
  return std::clamp(start, limits_.rate_min, rate_max);
}

double RateSearch::candidate(double start, const Bounds& bounds) const {
  const double step = 1 + 2 * limits_.precision;
  const std::optional<double>& low = bounds.low;
  const std::optional<double>& high = bounds.high;
  if ((!low || *low < start) && (!high || *high > start)) return start;
  const double middle = low && high ? std::sqrt(*low * *high) : 0;
  if (low && *low >= start) {
    const double up = std::min(*low * std::max(step, *low / start), rate_max);
    return high ? std::min(up, middle) : up;
  }
  return std::max({*high / std::max(step, start / *high), middle, limits_.rate_min});
}

}  // namespace culvert
