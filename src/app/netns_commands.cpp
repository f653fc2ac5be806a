// culvert netns: network namespaces by name, by process and by file.
#include "netns_commands.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include "culvert/base/fields.hpp"
#include "culvert/base/printable.hpp"
#include "culvert/netns/command_surroundings.hpp"
#include "culvert/netns/link_setup.hpp"
#include "culvert/netns/named_namespaces.hpp"
#include "culvert/netns/namespace_monitor.hpp"
#include "culvert/netns/pinned_namespace.hpp"

namespace culvert {
namespace {

constexpr int status_done = 0;
constexpr int status_differs = 1;
// As env(1) and timeout(1) have it.
constexpr int status_own_failure = 125;
constexpr int status_cannot_run = 126;
constexpr int status_not_found = 127;

/// Of the namespaces that have one here, by identity of the other.
class Numbers {
 public:
  explicit Numbers(const NetworkNamespace& space) : netlink_(netlink_in(space)) {}
  std::vector<std::int32_t> all() { return netlink_.namespace_numbers(); }
  std::optional<std::int32_t> of(const std::string& specification) {
    try {
      return netlink_.namespace_number(NetworkNamespace::open(specification).fd());
    } catch (const std::exception&) {
      return std::nullopt;  // gone meanwhile, or a file that is none
    }
  }

 private:
  Netlink netlink_;
};

void flush_line() {
  if (std::fflush(stdout) != 0) throw std::system_error(errno, std::system_category(), "writing to standard output");
}

}  // namespace

NetnsCommands::NetnsCommands(CLI::App& app)
    : netns_(app.add_subcommand("netns", "Make, list, enter and tell apart network namespaces, as ip netns does")),
      family_(netns_) {
  netns_->require_subcommand(0, 1);
  netns_->add_flag("--json", as_json_, "as JSON, for whatever lists something");
  add_space_option(netns_, space_, "look from this one: ");
  netns_->footer(
      "NS stands for a name under /run/netns, a /path, or pid:N (a process). Words and output are those of ip netns; "
      "each sees "
      "what "
      "the other made.");
  add_names();
  add_processes();
  add_numbers();
  add_others();
}

void NetnsCommands::add_names() {
  family_.add(netns_, {"list", "ls", "show"}, "List names, and by which number this namespace knows them",
              [this] { return list(); });
  auto* add = family_.add_change(netns_, {"add"}, "Make a namespace with a name, which lives without processes",
                                 [this] { add_namespace(name_, logged_steps()); });
  add->add_option("NAME", name_, "its name")->required();
  add->footer("Example: culvert netns add blue");
  auto* attach = family_.add_change(netns_, {"attach"}, "Give the namespace of a process a name", [this] {
    PinnedNamespace::named(name_, space_from(other_), logged_steps()).keep();
  });
  attach->add_option("NAME", name_, "its name")->required();
  attach->add_option("PID", other_, "the process")->required();
  auto* remove = family_.add_change(netns_, {"delete", "del"}, "Remove a name; the namespace lives on while in use",
                                    [this] { delete_namespace(name_, logged_steps()); });
  remove->add_option("NAME", name_, "its name")->required();
  family_.add(netns_, {"monitor"}, "Tell when names come and go, until interrupted", [this] { return monitor(); });
}

void NetnsCommands::add_processes() {
  auto* exec = family_.add(netns_, {"exec"}, "Run a command in a namespace", [this] { return this->exec(); });
  exec->add_option("NS", name_, namespace_help)->required();
  exec->footer(
      "Example: culvert netns exec blue ip address. The command follows, with or without --. It sees the namespace in "
      "/sys, and files of /etc/netns/NAME in place of those of /etc.\n"
      "Exit status: that of the command; 127 not found, 126 cannot be run, 125 culvert failed.");
  auto* unshare = family_.add(netns_, {"unshare"}, "Run a command in a fresh namespace without a name",
                              [this] { return this->unshare(); });
  unshare->footer("Example: culvert netns unshare ip link. The namespace goes with its last process.");
  auto* identify = family_.add(netns_, {"identify"}, "Print the names of a process's namespace",
                               [this] { return this->identify(); });
  identify->add_option("PID", name_, "the process; left out: this one");
  auto* pids = family_.add(netns_, {"pids"}, "List the processes in a namespace", [this] { return this->pids(); });
  pids->add_option("NS", name_, namespace_help)->required();
  auto* same =
      family_.add(netns_, {"same"}, "Tell whether two processes are in one namespace", [this] { return this->same(); });
  same->add_option("PID", name_, "a process, or a namespace")->required();
  same->add_option("OTHER", other_, "another")->required();
  same->footer("Example: culvert netns same 1 $$. Exit status: 0 the same, 1 different ones, or culvert failed.");
}

void NetnsCommands::add_numbers() {
  const auto add_list = [this](CLI::App* parent, const std::string& name) {
    family_.add(parent, {name}, "List the numbers by which this namespace knows others",
                [this] { return list_numbers(); });
  };
  const auto add_set = [this](CLI::App* parent) {
    auto* set = family_.add_change(parent, {"set"}, "Give a namespace a number", [this] { set_number(); });
    set->add_option("NS", name_, namespace_help)->required();
    set->add_option("NUMBER", number_, "the number, or auto")->required();
  };
  auto* id = family_.add(netns_, {"id"}, "Numbers by which this namespace knows others (netnsid)", {});
  id->require_subcommand(1);
  add_list(id, "list");
  add_set(id);
  // As ip has them.
  add_list(netns_, "list-id");
  add_set(netns_);
}

void NetnsCommands::add_others() {
  auto* pin = family_.add_change(netns_, {"pin"}, "Keep a namespace alive by a file, which stands for it",
                                 [this] { this->pin(); });
  pin->add_option("NS", name_, "PID, name or path")->required();
  pin->add_option("PATH", path_, "the file, which is made")->required();
  pin->footer(
      "Example: culvert netns pin $$ /run/mine; culvert netns exec /run/mine ip link; culvert netns unpin /run/mine");
  auto* unpin = family_.add_change(netns_, {"unpin"}, "Take a namespace off a file and remove the file", [this] {
    if (!identity_at(std::filesystem::absolute(path_)))
      throw std::invalid_argument(path_ + " pins no network namespace");
    remove_pin(path_, logged_steps());
  });
  unpin->add_option("PATH", path_, "the file")->required();
  auto* move = family_.add_change(netns_, {"move"}, "Move an interface into a namespace", [this] { this->move(); });
  move->add_option("DEV", path_, "the interface")->required();
  move->add_option("NS", name_, namespace_help)->required();
  move->add_option("--name", new_name_, "its name there");
  move->footer("Example: culvert netns move veth1 pid:1234. The same as culvert link move.");
}

int NetnsCommands::take_command(int argc, char** argv) {
  const auto is = [&](int at, const char* word) { return at < argc && std::strcmp(argv[at], word) == 0; };
  if (!is(1, "netns")) return argc;
  const bool has_name = is(2, "exec");
  if (!has_name && !is(2, "unshare")) return argc;
  int first = has_name ? 4 : 3;
  // "--help" and the like.
  if (const int option = 3; option < argc && argv[option][0] == '-' && !(is(option, "--") && !has_name)) return argc;
  if (first >= argc) return argc;
  const int rest = first;
  if (is(first, "--")) ++first;
  words_.assign(argv + first, argv + argc);
  return rest;
}

int NetnsCommands::run() {
  return netns_->get_subcommands().empty() ? list() : family_.run();
}

int NetnsCommands::list() const {
  Numbers numbers(space_or_present(space_));
  boost::json::array array;
  for (const NamedNamespace& named : named_namespaces()) {
    boost::json::object object{{"name", named.name}};
    std::string line = printable_utf8(named.name);
    if (const auto number = numbers.of(named.name)) {
      object["id"] = *number;
      line += " (id: " + std::to_string(*number) + ")";
    }
    if (named.identity) object["inode"] = named.identity->inode;
    if (!as_json_) std::printf("%s\n", line.c_str());
    array.push_back(std::move(object));
  }
  if (as_json_) print_json(array);
  return status_done;
}

int NetnsCommands::identify() const {
  if (!name_.empty() && !pid_from(name_)) throw std::invalid_argument("'" + name_ + "' is no number of a process");
  const std::string process = name_.empty() ? std::to_string(::getpid()) : name_;
  const std::vector<std::string> names = names_of(NetworkNamespace::open("pid:" + process).identity());
  if (as_json_) {
    print_json(boost::json::array(names.begin(), names.end()));
    return status_done;
  }
  for (const std::string& name : names) std::printf("%s\n", printable_utf8(name).c_str());
  return status_done;
}

int NetnsCommands::pids() const {
  const std::vector<pid_t> all = processes_in(space_from(name_).identity());
  if (as_json_) {
    print_json(boost::json::array(all.begin(), all.end()));
    return status_done;
  }
  for (const pid_t pid : all) std::printf("%d\n", pid);
  return status_done;
}

int NetnsCommands::monitor() const {
  NamespaceMonitor monitor;
  for (;;) {
    for (const NamespaceEvent& event : monitor.take()) {
      const char* const word = event.kind == NamespaceEvent::Kind::Added ? "add" : "delete";
      if (as_json_) {
        print_json(boost::json::object{{"event", word}, {"name", event.name}});
      } else {
        std::printf("%s %s\n", word, printable_utf8(event.name).c_str());
      }
    }
    flush_line();
    pollfd news{monitor.fd(), POLLIN, 0};
    if (::poll(&news, 1, -1) < 0 && errno != EINTR) {
      throw std::system_error(errno, std::system_category(), "waiting for news of network namespaces");
    }
  }
}

int NetnsCommands::list_numbers() const {
  Numbers numbers(space_or_present(space_));
  const std::vector<std::int32_t> all = numbers.all();
  std::vector<KnownNamespace> known = known_namespaces();
  boost::json::array array;
  for (const std::int32_t number : all) {
    const auto found = std::ranges::find_if(
        known, [&](const KnownNamespace& candidate) { return numbers.of(candidate.specification()) == number; });
    if (as_json_) {
      boost::json::object object;
      object["nsid"] = number;
      if (found != known.end()) {
        if (!found->names.empty()) object["name"] = found->names.front();
        describe_in(object, *found);
      }
      array.push_back(std::move(object));
    } else if (found == known.end()) {
      std::printf("nsid %d \n", number);
    } else {
      const std::string words = printable_utf8(found->specification());
      std::printf("nsid %d (%s%s)\n", number, found->names.empty() ? "" : "iproute2 netns name: ", words.c_str());
    }
  }
  if (as_json_) print_json(array);
  return status_done;
}

void NetnsCommands::set_number() const {
  const auto number = number_from<std::int32_t>(number_);
  if (number_ != "auto" && (!number || *number < 0)) {
    throw std::invalid_argument("'" + number_ + "' is no number of a namespace: write 0 or more, or auto");
  }
  const auto space = space_from(name_);
  Netlink netlink = netlink_in(space_or_present(space_));
  if (const auto present = netlink.namespace_number(space.fd())) {
    throw std::invalid_argument(describe(space) + " has the number " + std::to_string(*present) +
                                " already, which stays");
  }
  try {
    netlink.set_namespace_number(space.fd(), number);
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::file_exists) throw;
    throw std::invalid_argument("the number " + number_ + " is another network namespace's: choose one that is free");
  }
}

int NetnsCommands::same() const {
  const bool are_same = space_from(name_).identity() == space_from(other_).identity();
  if (as_json_) {
    print_json(boost::json::object{{"same", are_same}});
  } else {
    std::puts(are_same ? "same" : "different");
  }
  return are_same ? status_done : status_differs;
}

void NetnsCommands::pin() const {
  PinnedNamespace::at(path_, space_from(name_), logged_steps()).keep();
}

void NetnsCommands::move() const {
  move_interface(space_or_present(space_), path_, space_from(name_), new_name_);
}

int NetnsCommands::exec() {
  try {
    if (words_.empty()) throw std::invalid_argument("name a command: culvert netns exec " + name_ + " COMMAND");
    enter_for_command(space_from(name_), logged_steps());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "culvert: %s\n", printable(error.what()).c_str());
    return status_own_failure;
  }
  return run_words();
}

int NetnsCommands::unshare() {
  try {
    if (words_.empty()) throw std::invalid_argument("name a command: culvert netns unshare COMMAND");
    enter_for_command(NetworkNamespace::create(), logged_steps());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "culvert: %s\n", printable(error.what()).c_str());
    return status_own_failure;
  }
  return run_words();
}

int NetnsCommands::run_words() {
  std::vector<char*> arguments = words_;
  arguments.push_back(nullptr);
  ::execvp(arguments.front(), arguments.data());
  const int error = errno;
  std::fprintf(stderr, "culvert: cannot run %s: %s\n", arguments.front(), std::strerror(error));
  return error == ENOENT ? status_not_found : status_cannot_run;
}

}  // namespace culvert
