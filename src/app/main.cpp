// The program: command line, and the one place where errors end up.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <system_error>
#include <utility>
#include <vector>

#include "bench_command.hpp"
#include "bridge_commands.hpp"
#include "commands.hpp"
#include "core_dumps.hpp"
#include "culvert/bench/bench_server.hpp"
#include "culvert/crypto/initialize.hpp"
#include "culvert/runtime/bench_order.hpp"
#include "culvert/runtime/log.hpp"
#include "end_of_options.hpp"
#include "error_hint.hpp"
#include "exec_command.hpp"
#include "leftovers.hpp"
#include "link_commands.hpp"
#include "netns_commands.hpp"
#include "sandbox_command.hpp"
#include "topology.hpp"

namespace {

constexpr int status_failed = 1;
constexpr int status_usage = 2;

int run_program(int argc, char** argv) {
  using namespace culvert;
  CLI::App app{"culvert: WireGuard tunnels in user space, between network namespaces and hosts"};
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", "culvert " CULVERT_VERSION);
  app.footer(
      "Exit status: 0 done, 1 failed, 2 wrong command line.\n"
      "Environment: LOG_LEVEL=trace|debug|info|warn|error|off (default info).");

  std::string device;
  bool foreground = false;
  app.add_option("NAME", device, "Without a command: make this device and wait to be set with wg, as wireguard-go does")
      ->type_name("");
  app.add_flag("-f,--foreground", foreground, "with NAME: stay in front");

  std::string file;
  auto* run = app.add_subcommand("run", "Run the tunnel of a config file until interrupted");
  run->add_option("FILE", file, "wg-quick file, or NAME for /etc/culvert/NAME.conf or /etc/wireguard/NAME.conf")
      ->required();
  run->footer("Example: culvert run /etc/culvert/site-a.conf");

  auto* up = app.add_subcommand("up", "Set up the tunnel of a config file and leave it running in the background");
  up->add_option("FILE", file, "wg-quick file, or NAME as for run")->required();
  up->footer("Example: culvert up site-a. The log of the process is /run/culvert/NAME.log.");

  auto* down = app.add_subcommand("down", "Take a tunnel down and undo all that up or run did");
  down->add_option("FILE", file, "wg-quick file, or NAME as for run")->required();
  down->footer("Example: culvert down site-a. Undoes what a killed process left, too.");

  bool dry_run = false;
  auto* reload = app.add_subcommand("reload", "Put a changed config file in force on a running tunnel");
  reload->add_option("FILE", file, "wg-quick file, or NAME as for run")->required();
  reload->add_flag("--dry-run", dry_run, "only print what would change");
  reload->footer(
      "Example: culvert reload site-a --dry-run. Sessions of peers that stay go on. PreUp and PostUp are not run; "
      "PreDown and PostDown of the new file are, when the tunnel goes down.");

  auto* strip = app.add_subcommand("strip", "Print what wg setconf and wg syncconf take of a config file");
  strip->add_option("FILE", file, "wg-quick file, or NAME as for run")->required();
  strip->footer("Example: wg syncconf site-a <(culvert strip site-a)");

  auto* save = app.add_subcommand("save", "Write the present state of a running tunnel to its config file");
  save->add_option("FILE", file, "wg-quick file, or NAME as for run")->required();
  save->footer("Example: culvert save site-a. Comments are lost.");

  auto* check = app.add_subcommand("check", "Check a config file and change nothing");
  check->add_option("FILE", file, "wg-quick file, or NAME as for run")->required();
  check->footer("Example: culvert check site-a.conf");

  std::string name;
  bool as_json = false;
  auto* show = app.add_subcommand("show", "Show running tunnels");
  show->add_option("NAME", name, "only this one");
  show->add_flag("--json", as_json, "as JSON");
  show->footer("Example: culvert show site-a --json");

  auto* genkey = app.add_subcommand("genkey", "Print a new private key");
  genkey->footer("Example: umask 077; culvert genkey > private.key");
  auto* pubkey = app.add_subcommand("pubkey", "Print the public key of the private key on standard input");
  pubkey->footer("Example: culvert pubkey < private.key");
  auto* genpsk = app.add_subcommand("genpsk", "Print a new preshared key");
  genpsk->footer("Example: umask 077; culvert genpsk > preshared.key");

  // Started by a daemon, for a peer that measures the tunnel.
  auto* serve = app.add_subcommand(bench_command_word, "")->group("");

  ExecCommand exec(app);
  BridgeCommands bridge(app);
  NetnsCommands netns(app);
  LinkCommands link(app);
  TopologyCommand topology(app);
  SandboxCommand sandbox(app);
  BenchCommand bench(app);

  try {
    std::vector<char*> words(argv, argv + netns.take_command(argc, argv));
    words = with_end_of_options(*app.get_subcommand("exec"), 1, std::move(words));
    words = with_end_of_options(*app.get_subcommand("sandbox"), 0, std::move(words));
    app.parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ParseError& wrong) {
    app.exit(wrong);
    return status_usage;
  }

  if (app.get_subcommands().empty() && device.empty()) {
    std::fputs("culvert: name a command or a device; culvert --help lists them\n", stderr);
    return status_usage;
  }

  const char* level = std::getenv("LOG_LEVEL");
  start_log(log_level_of(level ? level : "info"));
  if (netns.is_chosen() || link.is_chosen() || exec.is_chosen() || sandbox.is_chosen() || *run || *up) {
    take_back_leftovers_of_killed();
  }
  // These hold no keys, and what they start may have core files.
  if (netns.is_chosen()) return netns.run();
  if (link.is_chosen()) return link.run();
  forbid_core_dumps();
  if (!exec.is_chosen() && !sandbox.is_chosen()) forbid_core_dumps_for_good();
  initialize_crypto();
  if (*run) return run_command(file);
  if (*up) return up_command(file);
  if (*down) return down_command(file);
  if (*reload) return reload_command(file, dry_run);
  if (*strip) return strip_command(file);
  if (*save) return save_command(file);
  if (*check) return check_command(file);
  if (*show) return show_command(name, as_json);
  if (exec.is_chosen()) return exec.run();
  if (bridge.is_chosen()) return bridge.run();
  if (topology.is_chosen()) return topology.run();
  if (sandbox.is_chosen()) return sandbox.run();
  if (bench.is_chosen()) return bench.run();
  if (*genkey) return genkey_command();
  if (*genpsk) return genpsk_command();
  if (*pubkey) return pubkey_command();
  if (*serve) return serve_bench();
  return bare_command(device, foreground);
}

/// Otherwise the tunnel's device or socket would take the place of a standard stream that is missing, and log lines
/// would go there. Reading and writing still fails on what is opened here (O_PATH).
void occupy_standard_streams() {
  int fd = -1;
  do {
    fd = ::open("/dev/null", O_PATH | O_CLOEXEC);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) ::close(fd);
}

void flush_standard_output() {
  // What is larger than the buffer was refused before.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    throw std::system_error(errno == 0 ? EIO : errno, std::system_category(), "writing to standard output");
  }
}

}  // namespace

int main(int argc, char** argv) {
  occupy_standard_streams();
  try {
    const int status = run_program(argc, argv);
    flush_standard_output();
    return status;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "culvert: %s%s\n", error.what(), culvert::hint_for(error).c_str());
    return status_failed;
  }
}
