// Filling a topology with what the kernel, other processes and tunnels tell.
#include "culvert/topology/look.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <exception>
#include <set>
#include <system_error>

#include "culvert/netns/known_namespaces.hpp"
#include "culvert/netns/netlink_with_its_owner.hpp"
#include "culvert/netns/open_files.hpp"
#include "tunnels.hpp"

namespace culvert::topology {

namespace {

constexpr std::size_t processes_shown = 8;

Process process_of(pid_t pid) {
  return {pid, name_of_process(pid)};
}

std::string kind_of(const InterfaceFacts& facts) {
  if (facts.is_loopback) return "loopback";
  if (facts.kind.empty()) return "physical";
  return facts.kind == "tun" && facts.carries_ethernet ? "tap" : facts.kind;
}

Link link_of(const InterfaceFacts& facts) {
  Link link;
  link.index = facts.name.index;
  link.name = facts.name.name;
  link.kind = kind_of(facts);
  // The kernel works its state out up to a second after the link has come up (net/core/link_watch.c).
  const bool is_late = facts.is_up && facts.has_carrier && facts.state == "down";
  link.state = is_late ? "up" : facts.state;
  std::ranges::transform(link.state, link.state.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  link.is_up = facts.is_up;
  link.mtu = facts.mtu;
  if (facts.carries_ethernet) link.mac = facts.mac.to_string();
  link.master = facts.master;
  // Kernels before 5.16 leave the number out when both ends have the same.
  link.lower = facts.other == 0 && facts.other_namespace ? facts.name.index : facts.other;
  link.lower_id = facts.other_namespace;
  link.detail = facts.detail;
  link.can_be_held = facts.kind == "tun";
  return link;
}

/// The first ones to be shown. Those of culvert's only serve the others there, by which people know a namespace.
std::vector<Process> processes_of(const std::vector<pid_t>& all) {
  constexpr std::size_t looked_at = 8 * processes_shown;
  std::vector<Process> processes;
  for (const pid_t pid : all) {
    if (processes.size() == looked_at) break;
    if (has_program(pid)) processes.push_back(process_of(pid));
  }
  std::ranges::stable_partition(processes, [](const Process& process) { return process.name != "culvert"; });
  if (processes.size() > processes_shown) processes.resize(processes_shown);
  return processes;
}

/// A namespace while it is looked at; its open references keep it alive.
struct Sight {
  NamespaceIdentity identity;
  std::optional<NetworkNamespace> space;
  std::optional<Netlink> netlink;
  std::string problem;
  KnownNamespace known;
  std::vector<ForeignPin> foreign_pins;
  std::vector<pid_t> keepers;
};

/// A process with a device of its own.
struct Holding {
  HeldDevice device;
  std::optional<NamespaceIdentity> home;
  std::optional<Tunnel> tunnel;
  std::optional<NamespaceIdentity> socket_home;
};

class Looking {
 public:
  Topology look() {
    find_namespaces();
    look_at_holders();
    add_own_tunnels();
    for (Sight& sight : sights_) topology_.namespaces.push_back(namespace_of(sight));
    number();
    hold();
    join(topology_);
    return std::move(topology_);
  }

 private:
  Sight& sight_of(const NamespaceIdentity& identity) {
    const auto [found, is_new] = numbers_.try_emplace(identity, sights_.size());
    if (is_new) {
      sights_.emplace_back();
      sights_.back().identity = identity;
    }
    return sights_[found->second];
  }

  void find_namespaces() {
    NetworkNamespace own = NetworkNamespace::current();
    own_ = own.identity();
    sight_of(own_).space = std::move(own);
    for (KnownNamespace& known : known_namespaces()) {
      Sight& sight = sight_of(known.identity);
      sight.known = std::move(known);
      if (!sight.space) open(sight);
    }
    files_ = open_files();
    for (const auto& [inode, all] : files_.namespaces) {
      const NamespaceIdentity identity{own_.device, inode};
      auto space = numbers_.contains(identity) ? std::nullopt : open_held(all.front());
      if (!numbers_.contains(identity) && (!space || space->identity() != identity)) continue;
      Sight& sight = sight_of(identity);
      if (space) sight.space = std::move(space);
      for (const HeldNamespace& held : all) {
        if (!std::ranges::binary_search(sight.known.processes, held.holder)) sight.keepers.push_back(held.holder);
      }
    }
    for (const pid_t pid : files_.mounts) find_pins_of(pid);
    if (files_.hidden != 0) {
      topology_.remarks.push_back("what " + std::to_string(files_.hidden) +
                                  " processes are in and hold, which this user may not look at; try as root");
    }
  }

  /// Names that are known only where somebody else is.
  void find_pins_of(pid_t pid) {
    for (const Pin& pin : pins_seen_by(pid)) {
      const NamespaceIdentity identity{own_.device, pin.inode};
      if (!numbers_.contains(identity)) {
        Sight found;
        found.identity = identity;
        found.known.pins.push_back("/proc/" + std::to_string(pid) + "/root" + pin.path);
        open(found);
        // It may have been unbound, or another be bound over it.
        if (!found.space && found.problem.empty()) continue;
        found.known.pins.clear();
        numbers_.emplace(identity, sights_.size());
        sights_.push_back(std::move(found));
      }
      Sight& sight = sight_of(identity);
      const bool is_known = !sight.known.names.empty() || !sight.known.pins.empty();
      const auto is_same = [&](const ForeignPin& other) { return other.path == pin.path; };
      if (!is_known && std::ranges::none_of(sight.foreign_pins, is_same)) {
        sight.foreign_pins.push_back({pin.path, process_of(pid)});
      }
    }
  }

  static void open(Sight& sight) {
    std::vector<std::string> ways = sight.known.names;
    ways.insert(ways.end(), sight.known.pins.begin(), sight.known.pins.end());
    for (std::size_t i = 0; i < std::min(processes_shown, sight.known.processes.size()); ++i) {
      ways.push_back("pid:" + std::to_string(sight.known.processes[i]));
    }
    for (const std::string& way : ways) {
      try {
        NetworkNamespace space = NetworkNamespace::open(way);
        if (space.identity() != sight.identity) continue;
        sight.space = std::move(space);
        return;
      } catch (const std::system_error& error) {
        const bool is_gone = error.code().value() == ENOENT || error.code().value() == ESRCH;
        if (!is_gone) sight.problem = "cannot be opened: " + error.code().message();
      } catch (const std::exception&) {
        // Another file is in its place by now.
      }
    }
  }

  /// A device or a socket may be all that keeps a namespace alive.
  std::optional<NamespaceIdentity> seen(std::optional<NetworkNamespace> space) {
    if (!space) return std::nullopt;
    const NamespaceIdentity identity = space->identity();
    Sight& sight = sight_of(identity);
    if (!sight.space) sight.space = std::move(space);
    return identity;
  }

  void look_at_holders() {
    std::map<std::pair<pid_t, std::string>, std::size_t> asked;
    for (const HeldDevice& device : files_.devices) {
      // Each queue of a device is a descriptor of its own.
      const auto [found, is_new] = asked.try_emplace({device.holder, device.name}, holdings_.size());
      const auto home = seen(home_of(device));
      if (!is_new && holdings_[found->second].home == home) continue;
      Holding holding{device, home, {}, {}};
      if (is_new) ask(holding);
      holdings_.push_back(std::move(holding));
    }
  }

  /// Of the caller's own commands, whose descriptors he may not see.
  void add_own_tunnels() {
    for (TunnelOfCommand& own : own_tunnels_of_commands()) {
      const auto is_known = [&](const Holding& holding) { return holding.device.holder == own.pid; };
      const NamespaceIdentity home{own_.device, own.home};
      if (std::ranges::any_of(holdings_, is_known) || !numbers_.contains(home)) continue;
      holdings_.push_back({{own.pid, -1, own.device}, home, std::move(own.tunnel), {}});
    }
  }

  void ask(Holding& holding) {
    const HeldDevice& device = holding.device;
    // Each may keep silent for five seconds.
    constexpr std::chrono::seconds patience_with_all(10);
    if (std::chrono::steady_clock::now() - begin_ > patience_with_all) {
      topology_.remarks.push_back("the tunnel of " + device.name + ": not asked, since others took too long to answer");
      return;
    }
    try {
      holding.tunnel = ask_for_tunnel(device.holder, device.name);
    } catch (const std::exception& error) {
      topology_.remarks.push_back("the tunnel of " + device.name + ": " + error.what());
    }
    if (!holding.tunnel) return;
    const auto port = static_cast<std::uint16_t>(holding.tunnel->listen_port);
    holding.socket_home = seen(home_of_udp_socket(device.holder, port));
  }

  Namespace namespace_of(Sight& sight) {
    Namespace space;
    space.inode = sight.identity.inode;
    space.is_own = sight.identity == own_;
    space.names = sight.known.names;
    space.pins = sight.known.pins;
    space.foreign_pins = sight.foreign_pins;
    space.process_count = sight.known.processes.size();
    space.processes = processes_of(sight.known.processes);
    for (const pid_t pid : sight.keepers) {
      if (space.keepers.size() == processes_shown) break;
      space.keepers.push_back(process_of(pid));
    }
    space.problem = sight.problem;
    if (sight.space) list_links(sight, space);
    return space;
  }

  static void list_links(Sight& sight, Namespace& space) {
    space.problem.clear();
    try {
      sight.netlink = netlink_with_its_owner(*sight.space);
      list_links(*sight.netlink, space);
    } catch (const std::system_error& error) {
      if (space.is_own) throw;
      sight.netlink.reset();
      space.links.clear();
      const bool is_forbidden = error.code().value() == EPERM || error.code().value() == EACCES;
      space.problem = "cannot be entered: " + error.code().message() + (is_forbidden ? " (try as root)" : "");
    }
  }

  static void list_links(Netlink& netlink, Namespace& space) {
    for (const InterfaceFacts& facts : netlink.interfaces()) space.links.push_back(link_of(facts));
    std::ranges::sort(space.links, {}, &Link::index);
    const auto find = [&](std::uint32_t index) {
      const auto found = std::ranges::lower_bound(space.links, index, {}, &Link::index);
      return found != space.links.end() && found->index == index ? &*found : nullptr;
    };
    for (const auto& [index, prefix] : netlink.all_addresses()) {
      if (Link* const link = find(index)) link->addresses.push_back(prefix.to_string());
    }
    const auto is_bridge = [](const Link& link) { return link.kind == "bridge"; };
    if (std::ranges::none_of(space.links, is_bridge)) return;
    for (const BridgePort& port : netlink.bridge_ports()) {
      if (Link* const link = find(port.index)) link->port_state = word_for(port.state);
    }
  }

  /// Which namespaces the numbers stand for by which links say where their other ends are.
  void number() {
    for (std::size_t here = 0; here < sights_.size(); ++here) {
      if (!sights_[here].netlink) continue;
      Namespace& space = topology_.namespaces[here];
      std::map<int, std::set<std::uint32_t>> wanted;
      for (const Link& link : space.links) {
        if (link.lower_id && *link.lower_id >= 0) wanted[*link.lower_id].insert(link.lower);
      }
      for (std::size_t there = 0; there < sights_.size() && !wanted.empty(); ++there) {
        if (there == here || !sights_[there].space || !could_be(topology_.namespaces[there], wanted)) continue;
        try {
          const auto number = sights_[here].netlink->namespace_number(sights_[there].space->fd());
          if (number) space.ids[*number] = there;
          if (number) wanted.erase(*number);
        } catch (const std::system_error&) {
          // It is shown as not found.
        }
      }
    }
  }

  static bool could_be(const Namespace& there, const std::map<int, std::set<std::uint32_t>>& wanted) {
    if (!there.problem.empty()) return true;
    return std::ranges::any_of(wanted, [&](const auto& each) {
      return std::ranges::any_of(each.second, [&](std::uint32_t index) { return there.find(index) != nullptr; });
    });
  }

  Link* device_of(const Holding& holding) {
    const auto in = [&](std::size_t number) -> Link* {
      auto& links = topology_.namespaces[number].links;
      const auto found = std::ranges::find_if(
          links, [&](const Link& link) { return link.can_be_held && link.name == holding.device.name; });
      return found == links.end() ? nullptr : &*found;
    };
    if (holding.home) return in(numbers_.at(*holding.home));
    // Without the kernel's word: where its holder is, or else the only one of that name.
    Link* found = nullptr;
    for (std::size_t number = 0; number < sights_.size(); ++number) {
      Link* const link = in(number);
      if (link == nullptr) continue;
      if (std::ranges::binary_search(sights_[number].known.processes, holding.device.holder)) return link;
      if (found != nullptr) return nullptr;
      found = link;
    }
    return found;
  }

  void hold() {
    for (Holding& holding : holdings_) {
      Link* const link = device_of(holding);
      if (link == nullptr) continue;
      const Process holder = process_of(holding.device.holder);
      if (std::ranges::find(link->holders, holder) == link->holders.end()) link->holders.push_back(holder);
      if (!holding.tunnel) continue;
      if (holding.socket_home) holding.tunnel->socket_space = numbers_.at(*holding.socket_home);
      link->tunnel = std::move(holding.tunnel);
    }
  }

  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  NamespaceIdentity own_;
  std::vector<Sight> sights_;  ///< in the order of the topology's namespaces
  std::map<NamespaceIdentity, std::size_t> numbers_;
  OpenFiles files_;
  std::vector<Holding> holdings_;
  Topology topology_;
};

}  // namespace

Topology look() {
  return Looking().look();
}

}  // namespace culvert::topology
