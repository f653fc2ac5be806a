// A command whose only way out is a tunnel.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/config/config_file.hpp"

namespace culvert {

/// Beside the file and the command.
struct BehindTunnelOptions {
  /// Before the command: looks for leaks for so long. Without a command that is all.
  std::optional<std::chrono::milliseconds> verify;
  /// Told what was verified and what was not, a line at a time.
  std::function<void(const std::string&)> say;
  /// Told what comes next, before each step, in the process that takes it; what it throws is a failure of that step.
  std::function<void(std::string_view)> before_step;
  /// Called in the command's process at last.
  std::function<void()> before_exec;
  /// Told the signal that ended the command, if this process got it, too (HeldSignals::common_end).
  std::function<void(int)> on_common_end;
};

/// What is done differently for a file of wg-quick's: fills in MTU, Table and FwMark and takes out what is meant for
/// the host. Returns warnings. Throws ConfigError for what cannot be, changes nothing else.
std::vector<std::string> adapt_to_own_namespace(Config& config);

/// Runs `command` in new network, mount and PID namespaces (and a user namespace for whoever may not make these alone)
/// that have nothing but "lo" and device `name`, set up as `config` says (adapted), with the sockets in the caller's
/// network namespace and the packets carried by this process. Returns when all processes of the command have ended,
/// with its status as a shell has it: 126 and 127 as there, 125 if the verification found a leak. Throws std::exception
/// when there was no command, because something could not be done; in any case nothing is left. To be called by a
/// process with one thread; ends with SIGKILL to either process end the command, too.
int run_behind_tunnel(Config config, const std::string& name, const std::vector<std::string>& command,
                      const BehindTunnelOptions& options = {});

}  // namespace culvert
