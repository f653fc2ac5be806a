// Making, changing and moving links step by step.
#include "culvert/netns/link_setup.hpp"

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "culvert/netns/unfinished_links.hpp"

namespace culvert {

namespace {

void add_address_step(Steps& steps, Netlink& netlink, std::uint32_t index, const Prefix& address, bool is_undone) {
  const std::string what = "add address " + address.to_string();
  const auto act = [&] { netlink.add_address(index, address); };
  if (!is_undone) return steps.run(what, act);
  steps.run(what, act, [&netlink, index, address] { netlink.remove_address(index, address); });
}

void set_up_step(Steps& steps, Netlink& netlink, const InterfaceFacts& link, bool is_up) {
  if (link.is_up == is_up) return;
  const std::uint32_t index = link.name.index;
  steps.run((is_up ? "bring up " : "take down ") + link.name.name, [&] { netlink.set_up(index, is_up); },
            [&netlink, index, is_up] { netlink.set_up(index, !is_up); });
}

void refuse_unfit_port(Netlink& netlink, const NetworkNamespace& space, const std::string& bridge,
                       const std::string& name) {
  const std::vector<LinkDetails> links = netlink.link_details();
  const auto port = std::ranges::find(links, name, [](const LinkDetails& link) { return link.name.name; });
  if (port == links.end()) return;
  if (const auto why = why_not_a_port(*port, bridge, links)) throw std::invalid_argument(*why);
  const std::vector<NetworkObject> objects = netlink.objects_at(port->name);
  const auto address = std::ranges::find_if(objects, is_global_address);
  if (address == objects.end()) return;
  throw std::invalid_argument(name + " in " + describe(space) + " has " + describe(*address) +
                              ", which would stop to work in a bridge: remove it first, or let `culvert bridge attach "
                              "--nic " +
                              name + " --bridge " + bridge + " --confirm 60` move it along");
}

void add_port_steps(Steps& steps, Netlink& netlink, const NetworkNamespace& space, const LinkName& bridge,
                    const std::vector<std::string>& ports) {
  for (const std::string& name : ports) {
    const InterfaceFacts port = require_interface(netlink, space, name);
    if (port.master == bridge.index) continue;
    refuse_unfit_port(netlink, space, bridge.name, name);
    steps.run(
        "put " + name + " into " + bridge.name, [&] { netlink.set_master(port.name.index, bridge.index); },
        [&netlink, index = port.name.index] { netlink.set_master(index, 0); });
  }
}

std::vector<std::string> ports_that_are_down(Netlink& netlink, std::vector<std::string> names) {
  std::erase_if(names, [&](const std::string& name) {
    const auto link = netlink.find_interface(name);
    return !link || link->is_up;
  });
  return names;
}

}  // namespace

VethPair make_veth(const NewVeth& wish, const StepHook& before_step) {
  const bool is_made_at_once = wish.left_addresses.empty() && wish.right_addresses.empty() && !wish.is_up;
  std::optional<UnfinishedLink> unfinished;
  if (!is_made_at_once) unfinished.emplace(wish.left.space, std::vector<std::string>());
  std::optional<VethPair> pair;
  // All else goes with the pair.
  Steps steps(before_step);
  const std::uint32_t group = unfinished ? unfinished->group() : 0;
  steps.run("make the veth pair", [&] { pair.emplace(VethPair::make(wish.left, wish.right, wish.mtu, group)); });
  // Nothing is carried before all addresses are there.
  const auto add_all = [&](const VethEndWish& end_wish, const VethEnd& end, const std::vector<Prefix>& addresses) {
    in_words_of(end_wish.space, [&] {
      Netlink netlink = netlink_in(end_wish.space);
      for (const Prefix& address : addresses) {
        add_address_step(steps, netlink, end.interface.index, address, false);
      }
    });
  };
  const auto bring_up = [&](const VethEndWish& end_wish, const VethEnd& end) {
    in_words_of(end_wish.space, [&] {
      Netlink netlink = netlink_in(end_wish.space);
      steps.run("bring up " + end.name, [&] { netlink.set_up(end.interface.index, true); });
    });
  };
  add_all(wish.left, pair->left(), wish.left_addresses);
  add_all(wish.right, pair->right(), wish.right_addresses);
  if (wish.is_up) {
    bring_up(wish.left, pair->left());
    bring_up(wish.right, pair->right());
  }
  if (unfinished) {
    Netlink netlink = netlink_in(wish.left.space);
    unfinished->finish(netlink, pair->left().interface.index);
  }
  return *std::move(pair);
}

void make_bridge(const NetworkNamespace& space, const NewBridge& wish, const StepHook& before_step) {
  in_words_of(space, [&] {
    check_interface_name(wish.name);
    Netlink netlink = netlink_in(space);
    require_free_name(netlink, space, wish.name);
    const bool is_made_at_once = wish.addresses.empty() && wish.ports.empty() && !wish.is_up;
    std::optional<UnfinishedLink> unfinished;
    if (!is_made_at_once) unfinished.emplace(space, ports_that_are_down(netlink, wish.ports));
    const std::uint32_t group = unfinished ? unfinished->group() : 0;
    Steps steps(before_step);
    const auto make = [&] {
      netlink.add_bridge({.name = wish.name, .mtu = wish.mtu, .has_stp = wish.has_stp, .mac = {}, .group = group});
    };
    const auto unmake = [&] { netlink.remove_link(require_bridge(netlink, space, wish.name).name.index); };
    steps.run("make bridge " + wish.name, make, unmake);
    const InterfaceFacts bridge = require_bridge(netlink, space, wish.name);
    for (const Prefix& address : wish.addresses) {
      add_address_step(steps, netlink, bridge.name.index, address, false);
    }
    add_port_steps(steps, netlink, space, bridge.name, wish.ports);
    if (wish.is_up) {
      for (const std::string& port : wish.ports) {
        set_up_step(steps, netlink, require_interface(netlink, space, port), true);
      }
      set_up_step(steps, netlink, bridge, true);
    }
    if (unfinished) unfinished->finish(netlink, bridge.name.index);
    steps.keep();
  });
}

void remove_bridge(const NetworkNamespace& space, const std::string& name) {
  in_words_of(space, [&] {
    Netlink netlink = netlink_in(space);
    netlink.remove_link(require_bridge(netlink, space, name).name.index);
  });
}

void add_ports(const NetworkNamespace& space, const std::string& bridge, const std::vector<std::string>& ports,
               const StepHook& before_step) {
  in_words_of(space, [&] {
    Netlink netlink = netlink_in(space);
    Steps steps(before_step);
    add_port_steps(steps, netlink, space, require_bridge(netlink, space, bridge).name, ports);
    steps.keep();
  });
}

void remove_ports(const NetworkNamespace& space, const std::string& bridge, const std::vector<std::string>& ports,
                  const StepHook& before_step) {
  in_words_of(space, [&] {
    Netlink netlink = netlink_in(space);
    const std::uint32_t wanted = bridge.empty() ? 0 : require_bridge(netlink, space, bridge).name.index;
    Steps steps(before_step);
    for (const std::string& name : ports) {
      const InterfaceFacts port = require_interface(netlink, space, name);
      if (port.master == 0 || (wanted != 0 && port.master != wanted)) {
        throw std::invalid_argument("interface '" + name + "' in " + describe(space) + " is no port of " +
                                    (bridge.empty() ? "a bridge" : bridge));
      }
      steps.run(
          "take " + name + " out of its bridge", [&] { netlink.set_master(port.name.index, 0); },
          [&netlink, index = port.name.index, master = port.master] { netlink.set_master(index, master); });
    }
    steps.keep();
  });
}

Interface move_interface(const NetworkNamespace& from, const std::string& name, const NetworkNamespace& to,
                         const std::string& new_name) {
  return in_words_of(from, [&] {
    if (!new_name.empty()) check_interface_name(new_name);
    const std::string& name_there = new_name.empty() ? name : new_name;
    Netlink netlink = netlink_in(from);
    Netlink there = netlink_in(to);
    const InterfaceFacts link = require_interface(netlink, from, name);
    const bool is_elsewhere = from.identity() != to.identity();
    const auto cannot_leave = [&](const char* why) {
      return "interface '" + name + "' in " + describe(from) + " cannot leave its network namespace" + why;
    };
    if (is_elsewhere && (link.is_loopback || link.kind == "bridge")) {
      throw std::invalid_argument(cannot_leave(": loopback and bridges stay where they were made"));
    }
    if (is_elsewhere || name != name_there) {
      require_free_name(there, to, name_there);
      try {
        netlink.move_link(link.name.index, to.fd(), name_there);
      } catch (const std::system_error& error) {
        if (error.code() != std::errc::invalid_argument) throw;
        throw std::system_error(error.code(), cannot_leave(""));
      }
    }
    return Interface{to.identity(), require_interface(there, to, name_there).name.index};
  });
}

void remove_interface(const NetworkNamespace& space, const std::string& name) {
  in_words_of(space, [&] {
    Netlink netlink = netlink_in(space);
    netlink.remove_link(require_interface(netlink, space, name).name.index);
  });
}

void add_addresses(const NetworkNamespace& space, const std::string& name, const std::vector<Prefix>& addresses,
                   const StepHook& before_step) {
  in_words_of(space, [&] {
    Netlink netlink = netlink_in(space);
    const std::uint32_t index = require_interface(netlink, space, name).name.index;
    Steps steps(before_step);
    for (const Prefix& address : addresses) add_address_step(steps, netlink, index, address, true);
    steps.keep();
  });
}

void remove_addresses(const NetworkNamespace& space, const std::string& name, const std::vector<Prefix>& addresses,
                      const StepHook& before_step) {
  in_words_of(space, [&] {
    Netlink netlink = netlink_in(space);
    const std::uint32_t index = require_interface(netlink, space, name).name.index;
    Steps steps(before_step);
    for (const Prefix& address : addresses) {
      steps.run(
          "remove address " + address.to_string(), [&] { netlink.remove_address(index, address); },
          [&netlink, index, address] { netlink.add_address(index, address); });
    }
    steps.keep();
  });
}

void set_interfaces_up(const NetworkNamespace& space, const std::vector<std::string>& names, bool is_up,
                       const StepHook& before_step) {
  in_words_of(space, [&] {
    Netlink netlink = netlink_in(space);
    Steps steps(before_step);
    for (const std::string& name : names) set_up_step(steps, netlink, require_interface(netlink, space, name), is_up);
    steps.keep();
  });
}

std::optional<std::string> why_not_a_port(const LinkDetails& port, const std::string& bridge,
                                          const std::vector<LinkDetails>& links) {
  const std::string& name = port.name.name;
  const auto because = [&](const std::string& why) { return name + " cannot be a port of " + bridge + ": " + why; };
  if (port.is_loopback) return because("it is the loopback interface, which leads nowhere");
  if (!port.carries_ethernet) {
    return because(
        "it carries IP packets and no Ethernet (a tun or WireGuard device): route instead, with addresses on "
        "both and net.ipv4.ip_forward=1, or use a tap (Mode = tap)");
  }
  if (port.kind == "bridge") {
    return because("it is a bridge itself, and a bridge in a bridge is refused by the kernel: join its ports to one");
  }
  const auto find = [&](auto is_meant) {
    const auto found = std::ranges::find_if(links, is_meant);
    return found == links.end() ? nullptr : &*found;
  };
  const LinkDetails* const master = find([&](const LinkDetails& link) { return link.name.index == port.master; });
  if (port.master != 0 && (master == nullptr || master->name.name != bridge)) {
    return because("it is a port of " + (master != nullptr ? master->name.name : "another device") +
                   " already: take it out there (ip link set " + name + " nomaster) or name that bridge");
  }
  const LinkDetails* const child = find([&](const LinkDetails& link) {
    const bool shares_frames = link.kind == "macvlan" || link.kind == "macvtap" || link.kind == "ipvlan";
    return shares_frames && link.parent == port.name.index;
  });
  if (child != nullptr) {
    return because(child->kind + " device " + child->name.name +
                   " takes its frames: remove that first, or make it a veth pair with one end in the bridge");
  }
  return std::nullopt;
}

}  // namespace culvert
