// culvert exec: its command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace culvert {

/// `culvert exec FILE -- COMMAND…` as a subcommand of `app`, which outlives this.
class ExecCommand {
 public:
  explicit ExecCommand(CLI::App& app);
  ExecCommand(const ExecCommand&) = delete;
  ExecCommand& operator=(const ExecCommand&) = delete;

  [[nodiscard]] bool is_chosen() const { return exec_->parsed(); }
  /// Returns the command's exit status, or 125 when this program failed, with a message on standard error.
  int run();

 private:
  CLI::App* exec_;
  std::string file_;
  std::vector<std::string> command_;
  bool does_verify_ = false;
  double seconds_ = 1;
};

}  // namespace culvert
