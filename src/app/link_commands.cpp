// culvert link: veth pairs, bridges, and what ip link does with one interface, across namespaces.
#include "link_commands.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <cstdio>
#include <stdexcept>

#include "culvert/base/printable.hpp"
#include "culvert/netns/link_setup.hpp"
#include "culvert/netns/veth_peer.hpp"
#include "link_report.hpp"

namespace culvert {
namespace {

constexpr int status_done = 0;

/// NAME:NS, NAME, :NS or nothing. No name of an interface holds a colon.
struct EndWords {
  std::string name, space;
  static EndWords from(const std::string& word, const std::string& default_space) {
    const std::size_t colon = word.find(':');
    if (colon == std::string::npos) return {word, default_space};
    if (colon + 1 == word.size()) throw std::invalid_argument("'" + word + "': a namespace must follow the colon");
    return {word.substr(0, colon), word.substr(colon + 1)};
  }
};

std::string place_of(const std::string& space) {
  return space.empty() ? "here" : "in " + printable(space);
}

}  // namespace

LinkCommands::LinkCommands(CLI::App& app)
    : link_(app.add_subcommand("link", "Make, join, move and show links, in any network namespace")), family_(link_) {
  link_->require_subcommand(0, 1);
  add_space_option(link_, space_, "do it there: ");
  link_->add_flag("--json", as_json_, "as JSON, for whatever lists something");
  link_->footer(
      "NS stands for a name under /run/netns, a /path, or pid:N (a process); left out, the present namespace.");
  add_veth();
  add_bridge();
  add_addresses();
  add_others();
}

void LinkCommands::add_veth() {
  auto* veth = family_.add_change(link_, {"veth"}, "Make a veth pair, each end in a namespace of its own",
                                  [this] { this->veth(); });
  veth->add_option("LEFT", left_, "NAME, NAME:NS or :NS; without a name the first free of veth0, veth1 …");
  veth->add_option("RIGHT", right_, "the same for the other end");
  veth->add_option("--address", addresses_, "of the left end, as 10.0.0.1/24; may be repeated")->take_all();
  veth->add_option("--peer-address", peer_addresses_, "of the right end")->take_all();
  veth->add_option("--mtu", mtu_, "of both ends");
  veth->add_flag("--up", is_up_, "bring both ends up");
  veth->footer(
      "Example: culvert link veth left:blue right:red --address 10.0.0.1/24 --peer-address 10.0.0.2/24 --up\n"
      "Or nothing of it is done.");
}

void LinkCommands::add_bridge() {
  auto* bridge = family_.add(link_, {"bridge"}, "Bridges and their ports", {});
  bridge->require_subcommand(1);
  auto* add = family_.add_change(bridge, {"add"}, "Make a bridge", [this] { bridge_add(); });
  add->add_option("BRIDGE", name_, "its name")->required();
  add->add_option("--port", names_, "a first port; may be repeated")->take_all();
  add->add_option("--address", addresses_, "of the bridge; may be repeated")->take_all();
  add->add_option("--mtu", mtu_, "left out: 1500");
  add->add_flag("--stp", has_stp_, "with spanning tree: forwards nothing for 30 s");
  add->add_flag("--up", is_up_, "bring up the bridge and these ports");
  add->footer("Example: culvert link bridge add br0 --port p1 --port p2 --address 10.0.0.254/24 --up");
  auto* remove = family_.add_change(bridge, {"delete", "del"}, "Remove a bridge; its ports stay",
                                    [this] { remove_bridge(space_or_present(space_), name_); });
  remove->add_option("BRIDGE", name_, "the bridge")->required();
  auto* show = family_.add(bridge, {"show", "list"}, "Show bridges with their ports and the state of these",
                           [this] { return bridge_show(); });
  show->add_option("BRIDGE", name_, "only this one");
  add_ports(bridge);
}

void LinkCommands::add_ports(CLI::App* bridge) {
  auto* port = family_.add(bridge, {"port"}, "Ports of a bridge", {});
  port->require_subcommand(1);
  auto* add = family_.add_change(port, {"add"}, "Put links into a bridge", [this] {
    culvert::add_ports(space_or_present(space_), name_, names_, logged_steps());
  });
  auto* remove = family_.add_change(port, {"remove", "delete", "del"}, "Take links out of a bridge",
                                    [this] { remove_ports(space_or_present(space_), name_, names_, logged_steps()); });
  for (auto* command : {add, remove}) {
    command->add_option("BRIDGE", name_, "the bridge")->required();
    command->add_option("DEV", names_, "links")->required();
  }
  add->footer("Example: culvert link bridge port add br0 p1 p2");
}

void LinkCommands::add_addresses() {
  auto* address = family_.add(link_, {"address", "addr"}, "Addresses of a link", {});
  address->require_subcommand(1);
  auto* add = family_.add_change(address, {"add"}, "Add addresses", [this] { address_change(true); });
  auto* remove = family_.add_change(address, {"delete", "del"}, "Remove addresses", [this] { address_change(false); });
  for (auto* command : {add, remove}) {
    command->add_option("WORDS", words_, "DEV ADDRESS…, or as ip has it: ADDRESS… dev DEV")->required();
  }
  auto* show =
      family_.add(address, {"show", "list"}, "Show links with their addresses", [this] { return this->show(); });
  show->add_option("DEV", name_, "only this one");
}

void LinkCommands::add_others() {
  auto* peer = family_.add(link_, {"peer-of"}, "Find the other end of a veth, and the namespace it is in",
                           [this] { return this->peer(); });
  peer->add_option("DEV", name_, "one end")->required();
  auto* move = family_.add_change(link_, {"move"}, "Move a link into another namespace", [this] {
    move_interface(space_or_present(space_), name_, space_from(other_), new_name_);
  });
  move->add_option("DEV", name_, "the link")->required();
  move->add_option("NS", other_, namespace_help)->required();
  move->add_option("--name", new_name_, "its name there");
  move->footer(
      "Example: culvert link move veth1 pid:1234. It is down there, without addresses. When the namespace ends, "
      "hardware "
      "returns to the first one, and virtual links are gone.");
  for (const bool is_up : {true, false}) {
    auto* command = family_.add_change(link_, {is_up ? "up" : "down"}, is_up ? "Bring links up" : "Take links down",
                                       [this, is_up] { set_up(is_up); });
    command->add_option("DEV", names_, "links")->required();
  }
  auto* show = family_.add(link_, {"show", "list", "ls"}, "Show links", [this] { return this->show(); });
  show->add_option("DEV", name_, "only this one");
  auto* remove =
      family_.add_change(link_, {"delete", "del"}, "Remove a link; with a veth, both ends", [this] { this->remove(); });
  remove->add_option("DEV", name_, "the link")->required();
}

void LinkCommands::veth() const {
  const EndWords left = EndWords::from(left_, space_);
  const EndWords right = EndWords::from(right_, space_);
  const NetworkNamespace left_space = space_or_present(left.space);
  const NetworkNamespace right_space = space_or_present(right.space);
  VethPair pair = make_veth({.left = {left_space, left.name},
                             .right = {right_space, right.name},
                             .left_addresses = addresses_from(addresses_),
                             .right_addresses = addresses_from(peer_addresses_),
                             .mtu = mtu_,
                             .is_up = is_up_},
                            logged_steps());
  pair.keep();
  if (as_json_) {
    boost::json::array ends;
    for (const auto& [end, words] : {std::pair(pair.left(), left), std::pair(pair.right(), right)}) {
      boost::json::object object{{"ifindex", end.interface.index}, {"ifname", end.name}};
      if (!words.space.empty()) object["namespace"] = words.space;
      ends.push_back(std::move(object));
    }
    print_json(ends);
  } else if (left.name.empty() || right.name.empty()) {
    std::printf("%s %s, %s %s\n", pair.left().name.c_str(), place_of(left.space).c_str(), pair.right().name.c_str(),
                place_of(right.space).c_str());
  }
}

void LinkCommands::bridge_add() const {
  make_bridge(space_or_present(space_),
              {.name = name_,
               .ports = names_,
               .addresses = addresses_from(addresses_),
               .mtu = mtu_.value_or(1500),
               .has_stp = has_stp_,
               .is_up = is_up_},
              logged_steps());
}

int LinkCommands::bridge_show() const {
  const NetworkNamespace space = space_or_present(space_);
  if (!name_.empty()) {
    Netlink netlink = netlink_in(space);
    require_bridge(netlink, space, name_);
  }
  LinkReport report(space);
  boost::json::array array;
  for (const InterfaceFacts& bridge : report.links()) {
    if (bridge.kind != "bridge" || (!name_.empty() && bridge.name.name != name_)) continue;
    if (as_json_) {
      boost::json::object object = report.object_about(bridge);
      object["ports"] = report.ports_of(bridge);
      array.push_back(std::move(object));
    } else {
      std::printf("%s\n%s", report.line_about(bridge).c_str(), report.lines_about_ports(bridge).c_str());
    }
  }
  if (as_json_) print_json(array);
  return status_done;
}

int LinkCommands::peer() const {
  const VethPeer peer = peer_of(space_or_present(space_), name_);
  if (as_json_) {
    boost::json::object object{{"ifindex", peer.index}};
    if (!peer.name.empty()) object["ifname"] = peer.name;
    object["same_namespace"] = peer.is_here;
    if (peer.namespace_number) object["nsid"] = *peer.namespace_number;
    if (peer.home) describe_in(object, *peer.home);
    if (!peer.home && !peer.is_here) object["namespace"] = nullptr;
    print_json(object);
    return status_done;
  }
  std::string where;
  if (peer.is_here) {
    where = "in the same network namespace";
  } else if (peer.home) {
    where = "in network namespace '" + printable_utf8(peer.home->specification()) + "'";
  } else {
    where =
        "in a network namespace to which no name under /run/netns, no mount and no process seen from here belongs (if "
        "this is a container, ask outside of it" +
        std::string(::geteuid() == 0 ? ")" : "; or ask as root)");
  }
  if (peer.namespace_number) where += ", number " + std::to_string(*peer.namespace_number);
  std::printf("%u: %s%s\n", peer.index, peer.name.empty() ? "" : (printable(peer.name) + ": ").c_str(), where.c_str());
  return status_done;
}

void LinkCommands::address_change(bool is_added) const {
  std::vector<std::string> addresses = words_;
  std::string device;
  if (const auto dev = std::ranges::find(addresses, "dev"); dev != addresses.end()) {
    if (addresses.end() - dev != 2) throw std::invalid_argument("one interface must follow 'dev', and nothing else");
    device = addresses.back();
    addresses.erase(dev, addresses.end());
  } else {
    device = addresses.front();
    addresses.erase(addresses.begin());
  }
  if (addresses.empty())
    throw std::invalid_argument("name an address, as in: culvert link address add DEV 10.0.0.1/24");
  const std::vector<Prefix> prefixes = addresses_from(addresses);
  is_added ? culvert::add_addresses(space_or_present(space_), device, prefixes, logged_steps())
           : remove_addresses(space_or_present(space_), device, prefixes, logged_steps());
}

int LinkCommands::show() const {
  const NetworkNamespace space = space_or_present(space_);
  if (!name_.empty()) {
    Netlink netlink = netlink_in(space);
    require_interface(netlink, space, name_);
  }
  LinkReport report(space);
  boost::json::array array;
  for (const InterfaceFacts& link : report.links()) {
    if (!name_.empty() && link.name.name != name_) continue;
    if (as_json_) {
      array.push_back(report.object_about(link));
    } else {
      std::printf("%s\n", report.line_about(link).c_str());
    }
  }
  if (as_json_) print_json(array);
  return status_done;
}

void LinkCommands::remove() const {
  remove_interface(space_or_present(space_), name_);
}

void LinkCommands::set_up(bool is_up) const {
  set_interfaces_up(space_or_present(space_), names_, is_up, logged_steps());
}

}  // namespace culvert
