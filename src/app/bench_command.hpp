// culvert bench: its command line.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "bench_measuring.hpp"

namespace culvert {

/// `culvert bench` as a subcommand of `app`, which outlives this.
class BenchCommand {
 public:
  explicit BenchCommand(CLI::App& app);
  BenchCommand(const BenchCommand&) = delete;
  BenchCommand& operator=(const BenchCommand&) = delete;

  [[nodiscard]] bool is_chosen() const { return bench_->parsed(); }
  /// Returns the exit status; throws std::exception when it failed.
  int run();

 private:
  int compare_files() const;
  int show_file() const;

  CLI::App* bench_;
  CLI::App* compare_;
  std::optional<BenchMeasuring> measuring_;
  std::string before_;
  std::string after_;
  double threshold_percent_ = 5;
  bool as_json_ = false;
  CLI::App* show_;
  std::string shown_;
  std::string report_;
};

}  // namespace culvert
