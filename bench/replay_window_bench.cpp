// What it costs to decide whether a counter is new.
#include <benchmark/benchmark.h>

#include "culvert/protocol/replay_window.hpp"

namespace culvert {
namespace {

void accept_in_order(benchmark::State& state) {
  ReplayWindow window;
  std::uint64_t counter = 0;
  for (auto _ : state) benchmark::DoNotOptimize(window.accept(counter++));
}
BENCHMARK(accept_in_order);

/// Pairs swapped by `distance`, as paths of different length do.
void accept_reordered(benchmark::State& state) {
  const auto distance = static_cast<std::uint64_t>(state.range(0));
  ReplayWindow window;
  std::uint64_t counter = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(window.accept(counter ^ distance));
    ++counter;
  }
}
BENCHMARK(accept_reordered)->Arg(1)->Arg(64)->Arg(4096);

void refuse_replayed(benchmark::State& state) {
  ReplayWindow window;
  benchmark::DoNotOptimize(window.accept(1000));
  for (auto _ : state) benchmark::DoNotOptimize(window.accept(1000));
}
BENCHMARK(refuse_replayed);

/// The worst case: every counter moves on by a whole window, and every word is cleared.
void accept_far_ahead(benchmark::State& state) {
  ReplayWindow window;
  std::uint64_t counter = 0;
  for (auto _ : state) benchmark::DoNotOptimize(window.accept(counter += limits::replay_window_bits));
}
BENCHMARK(accept_far_ahead);

}  // namespace
}  // namespace culvert
