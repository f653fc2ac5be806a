// The steps of a wg-quick file, and back.
#include "culvert/quick/setup.hpp"

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include "culvert/base/printable.hpp"
#include "culvert/io/sysctl.hpp"
#include "culvert/quick/bridge_setup.hpp"
#include "culvert/quick/device_mtu.hpp"
#include "culvert/quick/firewall.hpp"
#include "culvert/quick/namespace_setup.hpp"
#include "culvert/runtime/control_socket.hpp"
#include "culvert/runtime/log.hpp"
#include "joined.hpp"

namespace culvert {

namespace {

constexpr std::uint32_t first_table = 51820;

std::vector<Family> families_of_default_routes(const Config& config) {
  std::vector<Family> families;
  for (const Family family : {Family::V4, Family::V6}) {
    const auto is_default = [family](const Prefix& prefix) {
      return prefix.length == 0 && prefix.address.family() == family;
    };
    const bool has_one = std::ranges::any_of(
        config.peers, [&](const PeerConfig& peer) { return std::ranges::any_of(peer.allowed_ips, is_default); });
    if (has_one) families.push_back(family);
  }
  return families;
}

bool is_pre_down(const Undo& undo) {
  const auto* hooks = std::get_if<RunHooks>(&undo);
  return hooks && hooks->key == "PreDown";
}

std::vector<Undo>::iterator behind_namespaces(std::vector<Undo>& undos) {
  return std::ranges::find_if(undos, [](const Undo& undo) { return !std::holds_alternative<RemoveNamespace>(undo); });
}

// What is before all others but those of priority 0, as the kernel would choose.
std::uint32_t first_rule_priority(Netlink& netlink, Family family) {
  std::uint32_t first = 32766;
  for (const RoutingRule& rule : netlink.rules(family)) {
    if (rule.priority != 0) first = std::min(first, rule.priority);
  }
  if (first < 4) throw std::runtime_error("there is no room for routing rules before the first one (see ip rule)");
  return first;
}

}  // namespace

QuickSetup::QuickSetup(const Config& config, std::string name, Options options)
    : name_(std::move(name)),
      options_(std::move(options)),
      device_namespace_(open_or_create_namespace(config.device_namespace)),
      socket_namespace_(config.socket_namespace.empty() ? NetworkNamespace::current()
                                                        : NetworkNamespace::open(config.socket_namespace)),
      folder_(options_.folder),
      programs_(name_) {
  refuse_dns_elsewhere(config);
}

void QuickSetup::refuse_dns_elsewhere(const Config& config) const {
  if (config.dns.empty() || device_namespace_.identity() == NetworkNamespace::current().identity()) return;
  throw ConfigError(config.path, 0, 0,
                    "DNS = " + joined(config.dns) +
                        " would be set for this namespace, but the device is in another: take the line out and write "
                        "the servers to /etc/netns/NAME/resolv.conf, where `ip netns exec NAME` looks");
}

DeviceSetup QuickSetup::setup() {
  DeviceSetup setup;
  if (policy_) setup.default_route_table = policy_->mark;
  // Before the device, because the socket file comes with it.
  setup.before_step = [this](std::string_view what) { announce(what); };
  return setup;
}

void QuickSetup::announce(std::string_view what) const {
  if (options_.before_step) options_.before_step(what);
  if (is_interrupted_) throw std::runtime_error("interrupted");
  spdlog::debug("{}: {}", name_, printable(what));
}

void QuickSetup::step(const std::string& what, std::optional<Undo> undo, const std::function<void()>& act) {
  if (undo && std::ranges::find(entries_.undos, *undo) == entries_.undos.end()) {
    // PreDown comes first on the way down, whenever the rest was done.
    auto place = entries_.undos.end();
    while (place != entries_.undos.begin() && is_pre_down(*std::prev(place))) --place;
    entries_.undos.insert(place, std::move(*undo));
    folder_.write(entries_);
  }
  announce(what);
  act();
}

void QuickSetup::prepare(Config& config) {
  if (const auto journal = folder_.read(name_)) journal->owner.await_end_if_dying();
  settle_namespaces(config);
  begin_journal(config);
  raise_namespaces(config);
  run_hooks(config, "PreUp", config.pre_up);
  raise_bridge(config);
  decide_mtu(config);
  decide_policy(config);
  step("create the control socket", RemoveStaleSocket{std::string(control_socket_folder) + "/" + name_ + ".sock"},
       [] {});
}

void QuickSetup::settle_namespaces(const Config& config) {
  // What a killed process left may have been the namespace.
  clean_up_after(folder_, name_, options_.dns);
  device_namespace_ = open_or_create_namespace(config.device_namespace);
  const ScopedNamespace inside(device_namespace_);
  if (Netlink().find_link(name_)) throw std::runtime_error("there is a device " + name_ + " already");
}

void QuickSetup::raise_namespaces(const Config& config) {
  const std::string& name = config.device_namespace;
  const bool is_new = !name.empty() && device_namespace_.specification().empty();
  if (is_new) {
    step("make network namespace " + name, RemoveNamespace{name, device_namespace_.identity()},
         [&] { name_namespace(name, device_namespace_, [this](std::string_view what) { announce(what); }); });
    device_namespace_ = NetworkNamespace::open(name);
  } else {
    share_namespace(device_namespace_);
  }
  share_namespace(socket_namespace_);
}

void QuickSetup::share_namespace(const NetworkNamespace& space) {
  const UniqueFd lock = folder_.lock();
  for (const JournalEntries& other : folder_.others(name_)) {
    const Undo made = RemoveNamespace{space.specification(), space.identity()};
    if (std::ranges::find(other.undos, made) == other.undos.end()) continue;
    if (std::ranges::find(entries_.undos, made) != entries_.undos.end()) return;
    // With those that go last.
    entries_.undos.insert(behind_namespaces(entries_.undos), made);
    folder_.write(entries_);
    return announce("share network namespace " + space.specification());
  }
}

void QuickSetup::leave_namespace(const NetworkNamespace& space) {
  const NamespaceIdentity left = space.identity();
  if (left == device_namespace_.identity() || left == socket_namespace_.identity()) return;
  const UniqueFd lock = folder_.lock();
  const auto found = std::ranges::find_if(entries_.undos, [&left](const Undo& undo) {
    const auto* made = std::get_if<RemoveNamespace>(&undo);
    return made && made->identity == left;
  });
  if (found == entries_.undos.end()) return;
  if (!is_needed_by_others(*found, entries_.where, folder_.others(name_))) perform(*found, programs_, options_.dns);
  entries_.undos.erase(found);
  folder_.write(entries_);
}

const NetworkNamespace& QuickSetup::sockets_of(const Config& config) const noexcept {
  return next_sockets_ && next_sockets_->specification() == config.socket_namespace ? *next_sockets_
                                                                                    : socket_namespace_;
}

void QuickSetup::tell_of_lost_namespaces() const noexcept {
  try {
    for (const NetworkNamespace* space : {&device_namespace_, &socket_namespace_}) {
      if (!has_lost_its_name(*space)) continue;
      spdlog::warn("{}: network namespace '{}' was deleted, or its name given to another, while this tunnel used it",
                   name_, printable(space->specification()));
    }
  } catch (const std::exception& error) {
    spdlog::warn("{}: {}", name_, error.what());
  }
}

void QuickSetup::begin_journal(const Config& config) {
  announce("begin the journal");
  entries_.name = name_;
  entries_.owner = ProcessIdentity::self();
  entries_.where = device_namespace_.identity();
  entries_.where_name = config.device_namespace;
  for (;;) {
    clean_up_after(folder_, name_, options_.dns);
    const UniqueFd lock = folder_.lock();
    if (folder_.read(name_)) continue;  // Somebody else was quicker.
    folder_.write(entries_);
    has_journal_ = true;
    return;
  }
}

void QuickSetup::arm_post_down(const Config& config) {
  // They may name the namespace.
  const auto place = behind_namespaces(entries_.undos);
  const bool is_armed = place != entries_.undos.end() && std::holds_alternative<RunHooks>(*place);
  if (config.post_down.empty() || is_armed) return;
  entries_.undos.insert(place, RunHooks{"PostDown", config.post_down});
}

void QuickSetup::run_hooks(const Config& config, std::string_view key, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    announce(std::string(key) + ": " + without_keys(line));
    // PostDown undoes what PreUp and PostUp did: not before one of them has begun.
    arm_post_down(config);
    folder_.write(entries_);
    const ScopedNamespace inside(device_namespace_);
    const int status = programs_.run_hook(line);
    if (status != 0) {
      throw std::runtime_error(printable(config.path) + ": " + std::string(key) + " = " + without_keys(line) +
                               ": ended with status " + std::to_string(status));
    }
  }
}

void QuickSetup::decide_mtu(Config& config) const {
  if (!config.mtu) config.mtu = fitting_mtu(config, sockets_of(config));
}

void QuickSetup::raise_bridge(Config& config) {
  const ScopedNamespace inside(device_namespace_);
  const auto plan = plan_bridge(config);
  if (!plan) return;
  if (plan->made) {
    step("make bridge " + config.bridge, *plan->made, [&] { make_bridge(config, *plan); });
  } else {
    step("pin the MAC address and MTU of " + config.bridge, std::nullopt, [&] { pin_bridge(config.bridge); });
  }
  if (plan->port) {
    step("put " + plan->port->nic + " into " + config.bridge, *plan->port, [&] { add_port(*plan->port); });
  }
  if (!config.mtu) config.mtu = static_cast<std::uint16_t>(std::min<std::uint32_t>(plan->mtu, 65535));
}

std::vector<Family> QuickSetup::default_route_families(const Config& config) const {
  const bool is_one_namespace = device_namespace_.identity() == sockets_of(config).identity();
  if (config.table.kind != RouteTable::Kind::Auto || !is_one_namespace) return {};
  std::vector<Family> families = families_of_default_routes(config);
  const ScopedNamespace inside(device_namespace_);
  if (!has_ipv6(name_)) std::erase(families, Family::V6);
  return families;
}

std::uint32_t QuickSetup::mark_for(const Config& config) const {
  const ScopedNamespace inside(device_namespace_);
  Netlink netlink;
  std::vector<std::uint32_t> taken = netlink.tables_in_use();
  for (const Family family : {Family::V4, Family::V6}) {
    for (const RoutingRule& rule : netlink.rules(family)) taken.push_back(rule.table);
  }
  for (const JournalEntries& other : folder_.others(name_)) {
    if (other.table == 0) continue;
    taken.push_back(other.table);
    if (config.firewall_mark == other.table && other.where == entries_.where) {
      throw std::runtime_error(printable(config.path) + ": FwMark " + std::to_string(other.table) +
                               " is that of tunnel " + other.name + ": two with default routes need two marks");
    }
  }
  if (config.firewall_mark.value_or(0) != 0) return *config.firewall_mark;
  if (policy_ && is_mark_chosen_) return policy_->mark;
  std::uint32_t mark = first_table;
  while (std::ranges::find(taken, mark) != taken.end()) ++mark;
  return mark;
}

std::optional<DefaultRoutePolicy> QuickSetup::policy_of(const Config& completed) const {
  std::vector<Family> families = default_route_families(completed);
  if (families.empty()) return std::nullopt;
  return DefaultRoutePolicy{completed.firewall_mark.value_or(0), std::move(families)};
}

void QuickSetup::decide_policy(Config& config) {
  if (default_route_families(config).empty()) return;
  // Others decide at the same time.
  const UniqueFd lock = folder_.lock();
  is_mark_chosen_ = config.firewall_mark.value_or(0) == 0;
  config.firewall_mark = mark_for(config);
  policy_ = policy_of(config);
  entries_.table = policy_->mark;
  folder_.write(entries_);
}

void QuickSetup::finish_up(const Config& config) {
  raise_dns(config);
  if (policy_) {
    for (const Family family : policy_->families) raise_policy(config, family);
  }
  if (!config.pre_down.empty()) entries_.undos.push_back(RunHooks{"PreDown", config.pre_down});
  arm_post_down(config);
  folder_.write(entries_);
  run_hooks(config, "PostUp", config.post_up);
}

void QuickSetup::raise_dns(const Config& config) {
  if (config.dns.empty()) return;
  announce("find the resolver");
  const auto plan = plan_dns(name_, options_.dns);
  if (!plan) {
    throw ConfigError(config.path, 0, 0,
                      "DNS = " + joined(config.dns) +
                          " needs resolvconf or a running systemd-resolved: install one of the packages openresolv, "
                          "resolvconf and systemd-resolved, or take the line out");
  }
  step("set DNS", plan, [&] { set_dns(*plan, config.dns, programs_, options_.dns); });
}

void QuickSetup::raise_policy(const Config& config, Family family) {
  const ScopedNamespace inside(device_namespace_);
  Netlink netlink;
  if (family == Family::V4) raise_src_valid_mark();
  step("add packet filter rules", RemoveFirewall{family, name_},
       [&] { add_firewall(family, name_, config.addresses, policy_->mark); });
  // The one that keeps the way to the local network comes first, so that this is never cut.
  const std::uint32_t before = first_rule_priority(netlink, family);
  const RoutingRule local{
      .family = family, .priority = before - 3, .table = Route{}.table, .unless_mark = {}, .suppress_prefix_length = 0};
  const RoutingRule tunnel{.family = family,
                           .priority = before - 2,
                           .table = policy_->mark,
                           .unless_mark = policy_->mark,
                           .suppress_prefix_length = {}};
  // A table without routes, as that of a device that is down, would let all go on to the main table's default route.
  const RoutingRule otherwise_nowhere{
      .family = family, .priority = before - 1, .table = 0, .unless_mark = policy_->mark, .suppress_prefix_length = {}};
  for (const RoutingRule& rule : {local, tunnel, otherwise_nowhere}) {
    step("add a routing rule", RemoveRule{rule}, [&] { netlink.add_rule(rule); });
  }
}

void QuickSetup::raise_src_valid_mark() {
  const auto is_restore = [](const Undo& undo) { return std::holds_alternative<RestoreSourceValidMark>(undo); };
  if (std::ranges::any_of(entries_.undos, is_restore)) return;
  const UniqueFd lock = folder_.lock();
  std::string before = read_sysctl(src_valid_mark);
  for (const JournalEntries& other : folder_.others(name_)) {
    if (other.where != entries_.where) continue;
    for (const Undo& undo : other.undos) {
      if (const auto* restore = std::get_if<RestoreSourceValidMark>(&undo)) before = restore->value;
    }
  }
  step("let the reverse path filter see marks", RestoreSourceValidMark{before},
       [] { write_sysctl(src_valid_mark, "1"); });
}

PolicyMonitor QuickSetup::watch_policy() const {
  const ScopedNamespace inside(device_namespace_);
  return PolicyMonitor();
}

unsigned QuickSetup::restore_policy(const Config& config) {
  const ScopedNamespace inside(device_namespace_);
  Netlink netlink;
  unsigned restored = 0;
  for (const Undo& undo : entries_.undos) {
    const auto* remove = std::get_if<RemoveRule>(&undo);
    if (!remove) continue;
    const std::vector<RoutingRule> there = netlink.rules(remove->rule.family);
    if (std::ranges::find(there, remove->rule) != there.end()) continue;
    netlink.add_rule(remove->rule);
    ++restored;
  }
  const auto link = netlink.find_link(name_);
  // The kernel takes no route through a device that is down; when it is up again, whoever holds it makes them.
  if (!policy_ || !link || !link->is_up) return restored;
  const std::vector<Route> there = netlink.routes(link->index);
  for (const Route& route : routes_of(config)) {
    const bool is_of_policy =
        route.table == policy_->mark &&
        std::ranges::find(policy_->families, route.destination.address.family()) != policy_->families.end();
    if (!is_of_policy || std::ranges::find(there, route) != there.end()) continue;
    netlink.add_route(link->index, route);
    ++restored;
  }
  return restored;
}

void QuickSetup::begin_down(const std::function<void()>& after_pre_down) noexcept {
  is_going_down_ = true;
  tell_of_lost_namespaces();
  programs_.resume();
  while (!entries_.undos.empty() && is_pre_down(entries_.undos.back())) undo_last();
  try {
    if (after_pre_down) after_pre_down();
  } catch (const std::exception& error) {
    note_failure(error.what());
  }
  while (!entries_.undos.empty() && !std::holds_alternative<RemoveStaleSocket>(entries_.undos.back())) undo_last();
}

bool QuickSetup::end_down() noexcept {
  is_going_down_ = true;
  programs_.resume();
  while (!entries_.undos.empty()) undo_last();
  if (!has_journal_) return true;
  try {
    if (entries_.failures.empty() || !options_.keep_failures) {
      folder_.remove(name_);
    } else {
      folder_.write(entries_);
    }
  } catch (const std::exception& error) {
    spdlog::warn("{}: {}", name_, error.what());
  }
  return entries_.failures.empty();
}

void QuickSetup::undo_last() noexcept {
  const Undo undo = entries_.undos.back();
  std::optional<UniqueFd> lock;
  try {
    // Whoever begins to share it meanwhile must not find it gone.
    if (std::holds_alternative<RemoveNamespace>(undo)) lock = folder_.lock();
    const bool is_shared = is_needed_by_others(undo, entries_.where, folder_.others(name_));
    const ScopedNamespace inside(device_namespace_);
    if (!is_shared) perform(undo, programs_, options_.dns);
  } catch (const std::exception& error) {
    note_failure(error.what());
  }
  entries_.undos.pop_back();
  save_journal();
}

void QuickSetup::note_failure(const std::string& what) {
  spdlog::warn("{}: {}", name_, what);
  entries_.failures.push_back(what);
}

void QuickSetup::save_journal() noexcept {
  try {
    folder_.write(entries_);
  } catch (const std::exception& error) {
    spdlog::warn("{}: {}", name_, error.what());
  }
}

void QuickSetup::interrupt() {
  if (is_going_down_) return programs_.interrupt_current();
  is_interrupted_ = true;
  programs_.interrupt();
}

std::optional<bool> clean_up_after(const JournalFolder& folder, const std::string& name, const DnsPrograms& dns) {
  std::optional<JournalEntries> left;
  {
    const UniqueFd lock = folder.lock();
    left = folder.read(name);
    if (!left) return std::nullopt;
    if (left->owner.is_alive()) {
      throw std::runtime_error(name + " is up already (process " + std::to_string(left->owner.pid) +
                               "); culvert down " + name + " ends it");
    }
    for (const std::string& failure : left->failures) spdlog::warn("{}: {}", name, printable(failure));
    if (!left->undos.empty()) {
      spdlog::warn("{}: undoing what process {} left, which was killed", name, left->owner.pid);
    }
    // Whoever is next must not undo the same at the same time.
    left->owner = ProcessIdentity::self();
    folder.write(*left);
  }
  const bool had_failures = !left->failures.empty();
  return undo_leftovers(folder, *left, dns) && !had_failures;
}

}  // namespace culvert
