// The measuring itself: round by round through all stages of a plan.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "culvert/bench/measured_tunnel.hpp"
#include "culvert/bench/plan.hpp"
#include "culvert/bench/result.hpp"

namespace culvert {

struct SweepSettings {
  unsigned rounds = 5;
  TrialTimes times;
  std::uint64_t seed = 0;  ///< decides the order within rounds
};

/// How far a sweep is.
struct SweepProgress {
  double share = 0;  ///< 0 to 1, of the expected time
  std::string what;  ///< that is measured now
};
using OnSweepProgress = std::function<void(const SweepProgress&)>;

/// Cells with their figures, marks and drops, what the generator costs, and notes. A step that fails is left out of its
/// round and told in a note. Throws std::runtime_error when in the first round nothing could be measured of any tunnel.
[[nodiscard]] BenchResult sweep(const OpenTunnel& open, std::span<const BenchStage> plan, const SweepSettings& settings,
                                const OnSweepProgress& on_progress = {});

}  // namespace culvert
