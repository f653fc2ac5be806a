// Undoing, and how it is written down.
#include "culvert/quick/undo.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <stdexcept>
#include <system_error>

#include "culvert/base/fields.hpp"
#include "culvert/base/printable.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/io/sysctl.hpp"
#include "culvert/quick/bridge_setup.hpp"
#include "culvert/quick/dns.hpp"
#include "culvert/quick/firewall.hpp"
#include "culvert/quick/namespace_setup.hpp"

namespace culvert {

namespace {

constexpr std::string_view none = "-";

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};

std::string number_or_none(const std::optional<std::uint32_t>& number) {
  return number ? std::to_string(*number) : std::string(none);
}

std::string word_for(Family family) {
  return family == Family::V4 ? "4" : "6";
}

std::optional<Family> family_from(std::string_view text) {
  if (text == "4") return Family::V4;
  if (text == "6") return Family::V6;
  return std::nullopt;
}

std::optional<RoutingRule> rule_from(const std::vector<std::string>& fields) {
  RoutingRule rule;
  const auto family = family_from(fields[1]);
  const auto priority = number_from<std::uint32_t>(fields[2]);
  const auto table = number_from<std::uint32_t>(fields[3]);
  if (!family || !priority || !table) return std::nullopt;
  rule = {.family = *family, .priority = *priority, .table = *table, .unless_mark = {}, .suppress_prefix_length = {}};
  for (const auto& [text, out] :
       {std::pair{&fields[4], &rule.unless_mark}, {&fields[5], &rule.suppress_prefix_length}}) {
    if (*text == none) continue;
    *out = number_from<std::uint32_t>(*text);
    if (!*out) return std::nullopt;
  }
  return rule;
}

void remove_stale_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return;
  std::ranges::copy(path, address.sun_path);
  const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const bool is_dead = ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
                       errno == ECONNREFUSED;
  if (is_dead && ::unlink(path.c_str()) != 0 && errno != ENOENT) {
    throw std::system_error(errno, std::system_category(), "removing " + path);
  }
}

void remove_rule(const RoutingRule& rule) {
  try {
    Netlink().remove_rule(rule);
  } catch (const std::system_error& error) {
    if (error.code().value() != ENOENT) throw;
  }
}

void run_hooks(const RunHooks& hooks, ProgramRunner& programs) {
  std::string failed;
  for (const std::string& line : hooks.lines) {
    const int status = programs.run_hook(line);
    if (status == 0) continue;
    failed += (failed.empty() ? "" : "; ") + hooks.key + " = " + without_keys(line) + ": ended with status " +
              std::to_string(status);
  }
  if (!failed.empty()) throw std::runtime_error(failed);
}

}  // namespace

std::string to_line(const Undo& undo) {
  return std::visit(
      Overloaded{[](const RunHooks& hooks) {
                   std::vector<std::string> fields{"hooks", hooks.key};
                   fields.insert(fields.end(), hooks.lines.begin(), hooks.lines.end());
                   return join_fields(fields);
                 },
                 [](const RemoveStaleSocket& socket) {
                   return join_fields({"socket", socket.path});
                 },
                 [](const RemoveFromResolvconf& dns) {
                   return join_fields({"resolvconf", dns.name});
                 },
                 [](const RevertResolved& dns) {
                   return join_fields({"resolved", dns.device});
                 },
                 [](const RemoveRule& remove) {
                   const RoutingRule& rule = remove.rule;
                   return join_fields({"rule", word_for(rule.family), std::to_string(rule.priority),
                                       std::to_string(rule.table), number_or_none(rule.unless_mark),
                                       number_or_none(rule.suppress_prefix_length)});
                 },
                 [](const RemoveFirewall& firewall) {
                   return join_fields({"firewall", word_for(firewall.family), firewall.device});
                 },
                 [](const RestoreSourceValidMark& restore) {
                   return join_fields({"src_valid_mark", restore.value});
                 },
                 [](const RemoveBridge& made) {
                   return join_fields({"bridge", made.bridge, std::to_string(made.mac.value())});
                 },
                 [](const ReleaseBridgePort& port) {
                   return join_fields({"bridge_port", port.nic, port.bridge, port.was_up ? "up" : "down"});
                 },
                 [](const RemoveNamespace& made) {
                   return join_fields(
                       {"netns", made.name, std::to_string(made.identity.device), std::to_string(made.identity.inode)});
                 }},
      undo);
}

std::optional<Undo> undo_from_line(std::string_view line) {
  const auto fields = split_fields(line);
  if (!fields || fields->empty()) return std::nullopt;
  const std::string& kind = fields->front();
  const std::size_t count = fields->size();
  if (kind == "hooks" && count >= 2 && ((*fields)[1] == "PreDown" || (*fields)[1] == "PostDown")) {
    return RunHooks{(*fields)[1], {fields->begin() + 2, fields->end()}};
  }
  if (kind == "socket" && count == 2 && (*fields)[1].starts_with('/')) return RemoveStaleSocket{(*fields)[1]};
  if (kind == "resolvconf" && count == 2) return RemoveFromResolvconf{(*fields)[1]};
  if (kind == "resolved" && count == 2 && is_interface_name((*fields)[1])) return RevertResolved{(*fields)[1]};
  if (kind == "rule" && count == 6) {
    if (const auto rule = rule_from(*fields)) return RemoveRule{*rule};
  }
  if (kind == "firewall" && count == 3 && is_interface_name((*fields)[2])) {
    if (const auto family = family_from((*fields)[1])) return RemoveFirewall{*family, (*fields)[2]};
  }
  if (kind == "src_valid_mark" && count == 2 && ((*fields)[1] == "0" || (*fields)[1] == "1")) {
    return RestoreSourceValidMark{(*fields)[1]};
  }
  if (kind == "bridge" && count == 3 && is_interface_name((*fields)[1])) {
    if (const auto mac = number_from<std::uint64_t>((*fields)[2])) return RemoveBridge{(*fields)[1], MacAddress(*mac)};
  }
  if (kind == "bridge_port" && count == 4 && is_interface_name((*fields)[1]) && is_interface_name((*fields)[2]) &&
      ((*fields)[3] == "up" || (*fields)[3] == "down")) {
    return ReleaseBridgePort{(*fields)[1], (*fields)[2], (*fields)[3] == "up"};
  }
  if (kind == "netns" && count == 4 && is_name_of_namespace((*fields)[1])) {
    const auto device = number_from<std::uint64_t>((*fields)[2]);
    const auto inode = number_from<std::uint64_t>((*fields)[3]);
    if (device && inode) return RemoveNamespace{(*fields)[1], {*device, *inode}};
  }
  return std::nullopt;
}

void perform(const Undo& undo, ProgramRunner& programs, const DnsPrograms& dns) {
  std::visit(Overloaded{[&](const RunHooks& hooks) { run_hooks(hooks, programs); },
                        [](const RemoveStaleSocket& socket) { remove_stale_socket(socket.path); },
                        [&](const RemoveFromResolvconf& entry) { unset_resolvconf(entry.name, programs, dns); },
                        [&](const RevertResolved& link) { unset_resolved(link.device, programs, dns); },
                        [](const RemoveRule& remove) { remove_rule(remove.rule); },
                        [](const RemoveFirewall& firewall) { remove_firewall(firewall.family, firewall.device); },
                        [](const RestoreSourceValidMark& restore) { write_sysctl(src_valid_mark, restore.value); },
                        [](const RemoveBridge& made) { remove_bridge(made); },
                        [](const ReleaseBridgePort& port) { release_port(port); },
                        [](const RemoveNamespace& made) { remove_namespace(made); }},
             undo);
}

}  // namespace culvert
