// culvert topology: its command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace culvert {

/// `culvert topology` as a subcommand of `app`, which outlives this.
class TopologyCommand {
 public:
  explicit TopologyCommand(CLI::App& app);
  TopologyCommand(const TopologyCommand&) = delete;
  TopologyCommand& operator=(const TopologyCommand&) = delete;

  [[nodiscard]] bool is_chosen() const { return command_->parsed(); }
  /// Prints or writes what was chosen and returns the exit status.
  int run() const;

 private:
  CLI::App* command_;
  CLI::Option* svg_option_ = nullptr;
  bool as_json_ = false;
  std::string svg_file_;
};

}  // namespace culvert
