// culvert exec: one command behind a tunnel.
#include "exec_command.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <stdexcept>

#include "common_end.hpp"
#include "core_dumps.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/exec/behind_tunnel.hpp"
#include "culvert/quick/advice.hpp"
#include "culvert/runtime/log.hpp"
#include "culvert/runtime/timestamp_store.hpp"
#include "error_hint.hpp"

namespace culvert {
namespace {

constexpr int status_failed = 125;
constexpr const char* plain_name = "tun0";

/// A file need not have a name that fits a device: nobody outside sees it.
std::string name_for(const std::string& path) {
  try {
    return device_name_of(path);
  } catch (const ConfigError&) {
    return plain_name;
  }
}

/// An ordinary user need not have the folders that his state directory is to lie in; without them he is told so later.
void make_parents_of(const std::string& path) {
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
}

void warn_about(Config& config) {
  // Only that it is not where the sockets are matters.
  config.device_namespace = "a new one";
  for (const std::string& advice : advice_on(config)) spdlog::warn("{}", advice);
  config.device_namespace.clear();
}

}  // namespace

int run_behind_tunnel_of(const std::string& file_or_name, const std::vector<std::string>& command,
                         BehindTunnelOptions options) {
  const std::string path = config_path_of(file_or_name);
  Config config = read_config_file(path);
  for (const std::string& warning : adapt_to_own_namespace(config)) spdlog::warn("{}", warning);
  warn_about(config);
  if (::geteuid() != 0) make_parents_of(state_directory());
  if (!options.before_exec) options.before_exec = restore_core_limit;
  return run_behind_tunnel(std::move(config), name_for(path), command, options);
}

ExecCommand::ExecCommand(CLI::App& app) {
  exec_ = app.add_subcommand("exec", "Run a command whose only way out is the tunnel of a config file");
  exec_->add_option("FILE", file_, "wg-quick file, or NAME as for run")->required();
  exec_->add_option("COMMAND", command_, "the command with its arguments; options behind it are its own");
  exec_->add_flag("--verify", does_verify_,
                  "look for leaks first, from inside and (as root) from outside; no command: only that");
  exec_->add_option("--verify-seconds", seconds_, "for how long (1)")->check(CLI::Range(0.0, 3600.0))->type_name("");
  exec_->footer(
      "Example: culvert exec site-a -- curl https://example.net. Needs no root: see docs/exec.md.\n"
      "Exit status: the command's; 125 culvert failed, 126 the command cannot be run, 127 there is none, 128 + N "
      "signal N ended it.");
}

int ExecCommand::run() {
  try {
    if (command_.empty() && !does_verify_) {
      std::fputs("culvert: name a command, as in: culvert exec site-a -- ping 10.9.0.1\n", stderr);
      return 2;
    }
    if (!std::getenv("LOG_LEVEL")) spdlog::set_level(spdlog::level::warn);
    BehindTunnelOptions options;
    if (does_verify_) options.verify = std::chrono::milliseconds(static_cast<long long>(seconds_ * 1000));
    // The command's output stays its own.
    std::FILE* const output = command_.empty() ? stdout : stderr;
    options.say = [output](const std::string& line) { std::fprintf(output, "%s\n", printable(line).c_str()); };
    std::optional<int> signal;
    options.on_common_end = [&](int number) { signal = number; };
    const int status = run_behind_tunnel_of(file_, command_, std::move(options));
    return ended(status, signal);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "culvert: %s%s\n", printable(error.what()).c_str(), hint_for(error).c_str());
    return status_failed;
  }
}

}  // namespace culvert
