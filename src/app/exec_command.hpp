// culvert exec: its command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "culvert/exec/behind_tunnel.hpp"

namespace culvert {

/// Runs a command behind the tunnel of FILE, or of NAME as for run, with its limit on core files. Throws
/// std::exception.
int run_behind_tunnel_of(const std::string& file_or_name, const std::vector<std::string>& command,
                         BehindTunnelOptions options);

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
