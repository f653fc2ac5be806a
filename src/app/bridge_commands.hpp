// culvert bridge: its command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace culvert {

/// `culvert bridge attach|confirm|detach|restore|status` as a subcommand of `app`, which outlives this.
class BridgeCommands {
 public:
  explicit BridgeCommands(CLI::App& app);
  BridgeCommands(const BridgeCommands&) = delete;
  BridgeCommands& operator=(const BridgeCommands&) = delete;

  [[nodiscard]] bool is_chosen() const { return bridge_->parsed(); }
  /// Does what was chosen and returns the exit status. Throws what failed with everything as before.
  int run();

 private:
  int attach();
  int confirm() const;
  int detach() const;
  int restore() const;
  int status() const;

  std::string nic_;
  std::string bridge_name_;
  std::string tap_;
  unsigned confirm_seconds_ = 0;
  bool has_stp_ = false;
  bool as_json_ = false;
  CLI::App* bridge_;
  CLI::App* attach_;
  CLI::App* confirm_;
  CLI::App* detach_;
  CLI::App* restore_;
  CLI::Option* confirm_option_;
};

/// What every start of a tunnel does first: NICs that a killed process left half in a bridge are made whole. What fails
/// is logged and passed over.
void restore_unwatched_nics() noexcept;

}  // namespace culvert
