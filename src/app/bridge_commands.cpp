// culvert bridge: a NIC in a bridge, without locking anybody out.
#include "bridge_commands.hpp"

#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>

#include "culvert/bridge/bridging.hpp"
#include "culvert/io/clock.hpp"
#include "culvert/runtime/log.hpp"

namespace culvert {
namespace {

constexpr int status_done = 0;
constexpr int status_refused = 3;
constexpr int status_not_taken_back = 4;

BridgingOptions options_with_log() {
  BridgingOptions options;
  options.say = [](const std::string& text) { spdlog::warn("{}", printable(text)); };
  options.before_step = [](std::string_view what) { spdlog::debug("{}", printable(what)); };
  return options;
}

/// Who loses the terminal, or loses patience, must not leave half of it.
void ignore_interruptions() {
  for (const int number : {SIGHUP, SIGINT, SIGTERM, SIGPIPE}) std::signal(number, SIG_IGN);
}

long long seconds_left(const BridgeJournal& journal) {
  const auto left = journal.deadline.value_or(Timestamp()) - read_clocks().time;
  return std::max(0LL, static_cast<long long>(std::chrono::ceil<std::chrono::seconds>(left).count()));
}

std::string sentence_about(const BridgeJournal& journal) {
  std::string text = journal.nic.name + " in " + journal.bridge.name + ": " + std::string(word_for(journal.state));
  if (journal.state == BridgeJournal::State::Applied) {
    text += ", " + std::to_string(seconds_left(journal)) + " s left to confirm";
  }
  if (!journal.is_watched()) text += ", and nobody watches it: culvert bridge restore, or confirm";
  if (journal.guardian && journal.guardian->is_alive()) {
    text += " (guardian: process " + std::to_string(journal.guardian->pid) + ")";
  }
  for (const LinkName& tap : journal.taps) text += ", with " + tap.name;
  return text + (journal.is_own_bridge ? ", bridge made by culvert" : "");
}

boost::json::object object_about(const BridgeJournal& journal) {
  boost::json::object object;
  object["nic"] = journal.nic.name;
  object["bridge"] = journal.bridge.name;
  object["state"] = std::string(word_for(journal.state));
  object["own_bridge"] = journal.is_own_bridge;
  object["watched"] = journal.is_watched();
  if (journal.deadline) object["seconds_left"] = seconds_left(journal);
  if (journal.guardian) object["guardian"] = journal.guardian->pid;
  boost::json::array taps;
  for (const LinkName& tap : journal.taps) taps.emplace_back(tap.name);
  object["taps"] = std::move(taps);
  return object;
}

}  // namespace

BridgeCommands::BridgeCommands(CLI::App& app) {
  bridge_ = app.add_subcommand("bridge", "Put a network card into a bridge, with all that makes this host reachable");
  bridge_->require_subcommand(1);
  bridge_->footer(
      "Exit status: 0 done, or done before; 1 failed, and all is as it was; 2 wrong command line; 3 refused, and "
      "nothing "
      "was touched; 4 something could not be taken back, see culvert bridge status.\n"
      "All of it is gone after a reboot. Rules of the packet filter that name the NIC must name the bridge instead.");

  attach_ = bridge_->add_subcommand("attach", "Make a NIC a port of a bridge, which is made if it is missing");
  attach_->add_option("--nic", nic_, "the NIC; its addresses, routes, rules and MAC address move to the bridge")
      ->required();
  attach_->add_option("--bridge", bridge_name_, "the bridge")->required();
  confirm_option_ = attach_->add_option("--confirm", confirm_seconds_,
                                        "undo everything after this many seconds unless `culvert bridge confirm` comes "
                                        "first; a must for a NIC that has addresses");
  attach_->add_option("--tap", tap_, "a further port");
  attach_->add_flag("--stp", has_stp_, "with spanning tree: forwards nothing for 30 s");
  attach_->footer("Example: culvert bridge attach --nic eth0 --bridge br0 --confirm 60");

  confirm_ = bridge_->add_subcommand("confirm", "Let stay what was attached; best from a new session");
  confirm_->add_option("--nic", nic_, "only this one");
  confirm_->footer("Example: ssh HOST culvert bridge confirm");

  detach_ = bridge_->add_subcommand("detach", "Give a NIC back what it had before it was attached");
  detach_->add_option("--nic", nic_, "the NIC")->required();
  detach_->footer("Example: culvert bridge detach --nic eth0");

  restore_ = bridge_->add_subcommand("restore", "Undo at once what was not confirmed, also what a killed process left");
  restore_->footer("Example: culvert bridge restore. For ExecStopPost= of a service, too.");

  auto* status = bridge_->add_subcommand("status", "Tell which NICs are attached and what waits to be confirmed");
  status->add_flag("--json", as_json_, "as JSON");
  status->footer("Example: culvert bridge status --json");
}

int BridgeCommands::run() {
  try {
    if (attach_->parsed()) return attach();
    if (confirm_->parsed()) return confirm();
    if (detach_->parsed()) return detach();
    if (restore_->parsed()) return restore();
    return status();
  } catch (const BridgeRefused& refused) {
    std::fprintf(stderr, "culvert: %s\n", printable(refused.what()).c_str());
    return status_refused;
  } catch (const NotTakenBack& error) {
    std::fprintf(stderr, "culvert: %s\n", printable(error.what()).c_str());
    return status_not_taken_back;
  }
}

int BridgeCommands::attach() {
  BridgeWish wish{.nic = nic_, .bridge = bridge_name_, .tap = tap_, .confirm = {}, .has_stp = has_stp_};
  if (confirm_option_->count() != 0) wish.confirm = std::chrono::seconds(confirm_seconds_);
  ignore_interruptions();
  restore_unwatched_nics();
  if (!attach_nic(wish, options_with_log())) {
    std::printf("%s is in %s already\n", nic_.c_str(), bridge_name_.c_str());
    return status_done;
  }
  std::printf("%s is a port of %s now\n", nic_.c_str(), bridge_name_.c_str());
  if (const auto time = confirm_time_of(wish)) {
    std::printf(
        "Within %lld s, from a new session, to see that this host can be reached: culvert bridge confirm\n"
        "Else all is as before.\n",
        static_cast<long long>(time->count()));
  }
  return status_done;
}

int BridgeCommands::confirm() const {
  for (const std::string& nic : confirm_nics(nic_, options_with_log())) std::printf("%s stays\n", nic.c_str());
  return status_done;
}

int BridgeCommands::detach() const {
  ignore_interruptions();
  const bool was_attached = detach_nic(nic_, options_with_log());
  std::printf(was_attached ? "%s is as it was\n" : "%s is not attached\n", nic_.c_str());
  return status_done;
}

int BridgeCommands::restore() const {
  ignore_interruptions();
  for (const std::string& nic : restore_nics(RestoreScope::Unconfirmed, options_with_log())) {
    std::printf("%s is as it was\n", nic.c_str());
  }
  return status_done;
}

int BridgeCommands::status() const {
  const std::vector<BridgeJournal> all = attached_nics(options_with_log());
  if (!as_json_) {
    for (const BridgeJournal& journal : all) std::printf("%s\n", sentence_about(journal).c_str());
    return status_done;
  }
  boost::json::array array;
  for (const BridgeJournal& journal : all) array.push_back(object_about(journal));
  std::printf("%s\n", boost::json::serialize(array).c_str());
  return status_done;
}

void restore_unwatched_nics() noexcept {
  const std::string folder(bridge_journal_folder);
  if (::access(folder.c_str(), F_OK) != 0) return;
  try {
    for (const std::string& nic : restore_nics(RestoreScope::Unwatched, options_with_log())) {
      spdlog::warn("{} was left half in a bridge and is as it was", printable(nic));
    }
  } catch (const std::exception& error) {
    spdlog::warn("{}", printable(error.what()));
  }
}

}  // namespace culvert
