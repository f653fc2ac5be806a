// culvert bench: what is measured, from the command line to the written files.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "culvert/bench/plan.hpp"

namespace culvert {

/// The options of `culvert bench` without a subcommand of its own.
class BenchMeasuring {
 public:
  /// Adds them to `bench`, which outlives this.
  explicit BenchMeasuring(CLI::App& bench);
  BenchMeasuring(const BenchMeasuring&) = delete;
  BenchMeasuring& operator=(const BenchMeasuring&) = delete;

  /// Returns the exit status, 2 for what cannot be measured; ends by the signal that ended the measuring. Throws
  /// std::exception when it failed.
  int run() const;

 private:
  [[nodiscard]] BenchWish wish() const;
  [[nodiscard]] std::optional<BenchResult> measure(const BenchWish& wish, const std::vector<BenchStage>& plan,
                                                   int& signal) const;

  std::string peer_, tunnel_;  ///< empty: a lab, any tunnel
  bool is_quick_ = false;
  bool is_full_ = false;
  std::vector<std::string> modes_, ciphers_, offloads_;
  std::vector<std::uint32_t> sizes_;
  std::vector<unsigned> queues_, streams_;
  unsigned rounds_ = 5;
  std::optional<std::uint64_t> seed_;
  std::string json_, report_;
};

}  // namespace culvert
