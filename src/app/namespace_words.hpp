// How commands let users name network namespaces, and how they print what they know of them.
#pragma once

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "culvert/netns/interface.hpp"
#include "culvert/netns/known_namespaces.hpp"
#include "culvert/netns/steps.hpp"

namespace culvert {

/// A family of subcommands, of which one is chosen.
class CommandFamily {
 public:
  using Action = std::function<int()>;

  explicit CommandFamily(CLI::App* top) : top_(top) {}
  /// The first of `names` is the command, the others are taken for it, too.
  CLI::App* add(CLI::App* parent, const std::vector<std::string>& names, const std::string& help, Action action);
  /// One that changes something: a signal ends it before or afterwards.
  CLI::App* add_change(CLI::App* parent, const std::vector<std::string>& names, const std::string& help,
                       std::function<void()> change);
  [[nodiscard]] bool is_chosen() const { return top_->parsed(); }
  /// Returns the exit status of what was chosen; what it throws is told on standard error.
  [[nodiscard]] int run() const;

 private:
  CLI::App* top_;
  std::vector<std::pair<CLI::App*, Action>> actions_;
};

/// NAME, /path or pid:N. A number that is no name is a process, as for ip.
[[nodiscard]] NetworkNamespace space_from(const std::string& words);
/// The same; empty: the present one.
[[nodiscard]] NetworkNamespace space_or_present(const std::string& words);
void add_space_option(CLI::App* command, std::string& words, const std::string& help);
[[nodiscard]] std::vector<Prefix> addresses_from(const std::vector<std::string>& words);
/// Says each step to the log.
[[nodiscard]] StepHook logged_steps();

void print_json(const boost::json::value& value);
/// What is known of a namespace, as members of an object.
void describe_in(boost::json::object& object, const KnownNamespace& known);

inline constexpr const char* namespace_help = "a name under /run/netns, a /path, or pid:N (a process)";

}  // namespace culvert
