// Reading namespaces and addresses from the command line, and printing what commands about them have in common.
#include "namespace_words.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <exception>
#include <stdexcept>

#include "culvert/base/printable.hpp"
#include "culvert/netns/named_namespaces.hpp"
#include "culvert/runtime/log.hpp"
#include "error_hint.hpp"
#include "uninterrupted.hpp"

namespace culvert {

CLI::App* CommandFamily::add(CLI::App* parent, const std::vector<std::string>& names, const std::string& help,
                             Action action) {
  CLI::App* const command = parent->add_subcommand(names.front(), help);
  for (auto name = names.begin() + 1; name != names.end(); ++name) command->alias(*name);
  // Options of the family may stand behind the command.
  command->fallthrough();
  if (action) actions_.emplace_back(command, std::move(action));
  return command;
}

CLI::App* CommandFamily::add_change(CLI::App* parent, const std::vector<std::string>& names, const std::string& help,
                                    std::function<void()> change) {
  return add(parent, names, help, [change = std::move(change)] {
    const Uninterrupted uninterrupted;
    change();
    return 0;
  });
}

int CommandFamily::run() const {
  const auto chosen = std::ranges::find_if(actions_, [](const auto& action) { return action.first->parsed(); });
  if (chosen == actions_.end()) throw std::logic_error("no command was chosen");
  try {
    return chosen->second();
  } catch (const std::exception& error) {
    // Names may come from others.
    std::fprintf(stderr, "culvert: %s%s\n", printable(error.what()).c_str(), hint_for(error).c_str());
    return 1;
  }
}

NetworkNamespace space_from(const std::string& words) {
  const bool is_process = pid_from(words) && !identity_at(path_of_named(words));
  return NetworkNamespace::open(is_process ? "pid:" + words : words);
}

NetworkNamespace space_or_present(const std::string& words) {
  return words.empty() ? NetworkNamespace::current() : space_from(words);
}

void add_space_option(CLI::App* command, std::string& words, const std::string& help) {
  command->add_option("-n,--namespace", words, help + namespace_help)->check([](const std::string& given) {
    // A script's variable that is not set must not mean the present one.
    return std::string(given.empty() ? "the name of a network namespace is empty" : "");
  });
}

std::vector<Prefix> addresses_from(const std::vector<std::string>& words) {
  std::vector<Prefix> addresses;
  addresses.reserve(words.size());
  for (const std::string& word : words) {
    const auto address = Prefix::parse(word);
    if (!address) throw std::invalid_argument("'" + word + "' is no address: write 10.0.0.1/24 or fd00::1/64");
    addresses.push_back(*address);
  }
  return addresses;
}

StepHook logged_steps() {
  return [](std::string_view what) { spdlog::debug("{}", printable(what)); };
}

void print_json(const boost::json::value& value) {
  std::printf("%s\n", boost::json::serialize(value).c_str());
}

void describe_in(boost::json::object& object, const KnownNamespace& known) {
  object["namespace"] = known.specification();
  boost::json::array names, pins, processes;
  for (const std::string& name : known.names) names.emplace_back(name);
  for (const std::string& pin : known.pins) pins.emplace_back(pin);
  for (const pid_t pid : known.processes) processes.emplace_back(pid);
  object["names"] = std::move(names);
  object["pins"] = std::move(pins);
  object["processes"] = std::move(processes);
}

}  // namespace culvert
