// culvert sandbox: its command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "culvert/sandbox/container.hpp"

namespace culvert {

/// `culvert sandbox -- COMMAND…` as a subcommand of `app`, which outlives this.
class SandboxCommand {
 public:
  explicit SandboxCommand(CLI::App& app);
  SandboxCommand(const SandboxCommand&) = delete;
  SandboxCommand& operator=(const SandboxCommand&) = delete;

  [[nodiscard]] bool is_chosen() const { return sandbox_->parsed(); }
  /// Returns the command's exit status, or 125 when this program failed, with a message on standard error.
  int run();

 private:
  [[nodiscard]] ConnectionWish connection_wish() const;
  [[nodiscard]] ContainerWish container_wish() const;
  [[nodiscard]] int run_behind_tunnel() const;

  CLI::App* sandbox_;
  std::vector<std::string> command_;
  std::string host_name_ = "sandbox";
  bool is_isolated_ = false;
  std::vector<std::string> writable_;
  bool has_nat_ = false;
  std::string bridge_;
  std::string tunnel_;
  bool has_network_off_ = false;
  std::vector<std::string> addresses_;
  std::vector<std::string> host_addresses_;
  std::vector<std::string> gateways_;
};

}  // namespace culvert
