// Results to test with.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "culvert/bench/result.hpp"

namespace culvert::test {

inline CellKey key(BenchMode mode, Measure measure, std::uint32_t packet_size = 1420,
                   std::string cipher = "chacha20-poly1305", OffloadRung offloads = OffloadRung::On) {
  return {mode, mode == BenchMode::Uplink ? "" : std::move(cipher), offloads, 1, 1, packet_size, measure};
}

inline Cell cell(CellKey key, std::map<std::string, Figure> figures) {
  return {std::move(key), std::move(figures), {}, false};
}

inline BenchResult result_of(std::vector<Cell> cells) {
  BenchResult result;
  result.kind = "default";
  result.rounds = 5;
  result.seed = 18'000'000'000'000'000'001U;
  result.seconds = 281.5;
  result.machine = {"Linux 6.1.0", "A CPU @ 2.0 GHz", "kvm", "0.1.0", 2, 8'000'000'000, {{"libsodium", "1.0.18"}}, {}};
  result.cells = std::move(cells);
  std::ranges::sort(result.cells, {}, &Cell::key);
  return result;
}

}  // namespace culvert::test
