// A benchmark in a process of its own, with which all goes that it made.
#pragma once

#include <functional>
#include <optional>

#include "culvert/bench/result.hpp"
#include "culvert/bench/sweep.hpp"

namespace culvert {

/// What the process does.
using Measuring = std::function<BenchResult(const OnSweepProgress&)>;

/// Runs `measure` in a child, `with_lab` in new namespaces of which it may make more, as an ordinary user in a new user
/// namespace, too. For a process with one thread. Nothing when a signal came that people end programs with: `signal`
/// is its number then, and the child is gone with all that it made, as it is after whatever is thrown:
/// std::runtime_error with what the child could not do, std::system_error.
[[nodiscard]] std::optional<BenchResult> measure_in_child(bool with_lab, const Measuring& measure,
                                                          const OnSweepProgress& on_progress, int& signal);

}  // namespace culvert
