// culvert sandbox: one command in namespaces of its own.
#include "sandbox_command.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>

#include "common_end.hpp"
#include "core_dumps.hpp"
#include "culvert/base/printable.hpp"
#include "culvert/runtime/control_folders.hpp"
#include "culvert/runtime/log.hpp"
#include "error_hint.hpp"
#include "exec_command.hpp"

namespace culvert {
namespace {

constexpr int status_failed = 125;
constexpr int status_usage = 2;

/// As of a variable that is not set: to leave the option out then would open what it should close.
std::string is_not_empty(const std::string& text) {
  return text.empty() ? "the value is empty" : "";
}

std::vector<Prefix> prefixes_from(const std::vector<std::string>& texts, const char* option) {
  std::vector<Prefix> prefixes;
  for (const std::string& text : texts) {
    const auto prefix = Prefix::parse(text);
    if (!prefix) throw std::invalid_argument(std::string(option) + ": '" + text + "' is no address like 10.5.0.2/24");
    prefixes.push_back(*prefix);
  }
  return prefixes;
}

std::string joined(const std::vector<Prefix>& prefixes) {
  std::string text;
  for (const Prefix& prefix : prefixes) text += " " + prefix.to_string();
  return text;
}

ContainerOptions options_with_log() {
  ContainerOptions options;
  options.connection.say = [](const std::string& text) { spdlog::warn("{}", printable(text)); };
  options.connection.before_step = [](std::string_view what) { spdlog::debug("{}", printable(what)); };
  options.on_connection = [](const Connection& connection) {
    spdlog::info("{}{}, inside {}{}", connection.outer_link(), joined(connection.addresses().outside), inner_link_name,
                 joined(connection.addresses().inside));
  };
  return options;
}

}  // namespace

SandboxCommand::SandboxCommand(CLI::App& app) {
  sandbox_ = app.add_subcommand("sandbox", "Run a command as process 1 of namespaces of its own, as a container is");
  sandbox_->add_option("COMMAND", command_, "the command with its arguments; options behind it are its own")
      ->required();
  sandbox_->add_option("--hostname", host_name_, "its host name (sandbox)")->type_name("NAME");
  sandbox_->add_flag("--isolate", is_isolated_,
                     "no way to other namespaces: without the capabilities and system calls for it, files read-only "
                     "but for /tmp and /var/tmp, /run empty, /dev without hardware");
  const auto repeated = [&](const char* name, std::vector<std::string>& values, const char* what, const char* type) {
    return sandbox_->add_option(name, values, what)->allow_extra_args(false)->type_name(type);
  };
  repeated("--writable", writable_, "with --isolate: what is not read-only", "PATH")
      ->needs(sandbox_->get_option("--isolate"));
  auto* nat = sandbox_->add_flag("--nat", has_nat_, "lets it reach what this host reaches, in this host's name");
  auto* bridge = sandbox_->add_option("--bridge", bridge_, "joins it to a bridge, which is made if it is missing")
                     ->type_name("BRIDGE")
                     ->check(is_not_empty);
  auto* tunnel = sandbox_
                     ->add_option("--tunnel", tunnel_,
                                  "has the tunnel of a wg-quick file, or of NAME as for run, as its only way out")
                     ->type_name("FILE")
                     ->check(is_not_empty);
  auto* off = sandbox_->add_flag("--no-network", has_network_off_, "leaves it alone with lo");
  nat->excludes(bridge)->excludes(off)->excludes(tunnel);
  bridge->excludes(off)->excludes(tunnel);
  tunnel->excludes(off);
  repeated("--address", addresses_, "the address of eth0 inside; may be repeated", "ADDRESS/LENGTH")
      ->excludes(off)
      ->excludes(tunnel);
  repeated("--host-address", host_addresses_, "that of this host's end; left out: another one of the same network",
           "ADDRESS/LENGTH")
      ->excludes(off)
      ->excludes(tunnel);
  repeated("--gateway", gateways_, "with --bridge: where everything else goes", "ADDRESS")->needs(bridge);
  sandbox_->footer(
      "Example: culvert sandbox --nat -- bash. Without options it reaches this host alone, by a link that is called "
      "sandbox0 or the like here and eth0 inside, 10.213.0.1 here and 10.213.0.2 inside, if they are free; "
      "LOG_LEVEL=info tells. "
      "Without root it has no network but lo, or a --tunnel.\n"
      "Exit status: the command's; 125 culvert failed, 126 the command cannot be run, 127 there is none, 128 + N "
      "signal N ended it.");
}

ConnectionWish SandboxCommand::connection_wish() const {
  ConnectionWish wish;
  wish.way = has_nat_          ? ConnectionWish::Way::Nat
             : bridge_.empty() ? ConnectionWish::Way::Host
                               : ConnectionWish::Way::Bridge;
  wish.bridge = bridge_;
  wish.addresses = {.inside = prefixes_from(addresses_, "--address"),
                    .outside = prefixes_from(host_addresses_, "--host-address")};
  for (const std::string& text : gateways_) {
    const auto gateway = Address::parse(text);
    if (!gateway) throw std::invalid_argument("--gateway: '" + text + "' is no address");
    wish.gateways.push_back(*gateway);
  }
  return completed(std::move(wish));
}

ContainerWish SandboxCommand::container_wish() const {
  ContainerWish wish;
  wish.command = command_;
  wish.host_name = host_name_;
  wish.is_isolated = is_isolated_;
  wish.writable = writable_;
  wish.hidden = control_folders();
  wish.ids = id_map_if_needed(is_isolated_ ? IdMap::Own : IdMap::Root);
  const ConnectionWish connection = connection_wish();
  if (!tunnel_.empty()) {
    wish.has_own_network = false;
    wish.ids = IdMap::None;
  } else if (wish.ids == IdMap::None) {
    if (!has_network_off_) wish.connection = connection;
  } else if (connection != ConnectionWish{}) {
    throw std::runtime_error(
        "a link out of the sandbox needs root, since its other end would be in a network that this user does not own; "
        "without root a sandbox has no network but lo, or --tunnel FILE: leave --nat, --bridge and --address out");
  }
  return wish;
}

int SandboxCommand::run_behind_tunnel() const {
  // The namespaces of culvert exec, which have the tunnel, and in them those of the sandbox.
  const ContainerWish wish = container_wish();
  ContainerOptions options = options_with_log();
  options.before_exec = restore_core_limit;
  BehindTunnelOptions behind;
  behind.before_exec = [&] { end_as_container(wish, options); };
  std::optional<int> signal;
  behind.on_common_end = [&](int number) { signal = number; };
  const int status = run_behind_tunnel_of(tunnel_, command_, std::move(behind));
  return ended(status, signal);
}

int SandboxCommand::run() {
  try {
    if (!std::getenv("LOG_LEVEL")) spdlog::set_level(spdlog::level::warn);
    if (!tunnel_.empty()) return run_behind_tunnel();
    ContainerOptions options = options_with_log();
    options.before_exec = restore_core_limit;
    const ContainerWish wish = container_wish();
    std::optional<int> signal;
    options.on_common_end = [&](int number) { signal = number; };
    const int status = run_container(wish, options);
    return ended(status, signal);
  } catch (const std::invalid_argument& wrong) {
    std::fprintf(stderr, "culvert: %s\n", printable(wrong.what()).c_str());
    return status_usage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "culvert: %s%s\n", printable(error.what()).c_str(), hint_for(error).c_str());
    return status_failed;
  }
}

}  // namespace culvert
