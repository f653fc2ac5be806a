// Bridges around a tunnel.
#include "culvert/quick/bridge_setup.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "culvert/io/netlink.hpp"
#include "culvert/runtime/device_setup.hpp"

namespace culvert {

namespace {

BridgeFacts facts_about(const Config& config, const SurroundingsFiles& files) {
  Netlink netlink;
  BridgeFacts facts;
  facts.links = netlink.link_details();
  if (const LinkDetails* const nic = facts.link(config.bridge_port)) {
    facts.objects = netlink.objects_at(nic->name);
    facts.surroundings = look_around(nic->name, config.bridge, files);
  }
  return facts;
}

[[noreturn]] void refuse(const Config& config, const std::string& why) {
  throw ConfigError(config.path, 0, 0, why);
}

void refuse_port(const Config& config, const BridgeFacts& facts) {
  if (facts.has_address()) {
    refuse(config, "BridgePort = " + config.bridge_port +
                       " has addresses, and moving them could lock you out: run \"culvert bridge attach --nic " +
                       config.bridge_port + " --bridge " + config.bridge +
                       " --confirm 60\", confirm, and take BridgePort out of the file; or move the addresses by hand");
  }
  const BridgeWish wish{.nic = config.bridge_port, .bridge = config.bridge, .tap = {}, .confirm = {}, .has_stp = false};
  if (const auto refusal = refusal_of(wish, facts)) refuse(config, "BridgePort: " + *refusal);
}

std::optional<LinkDetails> find(const std::string& name) {
  const auto links = Netlink().link_details();
  const auto found = std::ranges::find_if(links, [&](const LinkDetails& link) { return link.name.name == name; });
  if (found == links.end()) return std::nullopt;
  return *found;
}

LinkDetails require(const std::string& name) {
  auto found = find(name);
  if (!found) throw std::system_error(ENODEV, std::system_category(), "looking for " + name);
  return std::move(*found);
}

}  // namespace

std::optional<BridgePlan> plan_bridge(const Config& config, const SurroundingsFiles& files) {
  if (config.bridge.empty()) return std::nullopt;
  const BridgeFacts facts = facts_about(config, files);
  const LinkDetails* const bridge = facts.link(config.bridge);
  const LinkDetails* const nic = facts.link(config.bridge_port);
  if (bridge != nullptr && bridge->kind != "bridge") refuse(config, "Bridge = " + config.bridge + " is no bridge");
  const bool is_port = bridge != nullptr && nic != nullptr && nic->master == bridge->name.index;
  if (!config.bridge_port.empty() && !is_port) refuse_port(config, facts);
  BridgePlan plan;
  plan.mtu = config.mtu.value_or(static_cast<std::uint16_t>(default_mtu_of(config.mode)));
  if (nic != nullptr) plan.mtu = nic->mtu;
  if (bridge != nullptr) plan.mtu = bridge->mtu;
  if (config.mtu && *config.mtu < plan.mtu) {
    refuse(config, "MTU = " + std::to_string(*config.mtu) + " is less than the " + std::to_string(plan.mtu) + " of " +
                       config.bridge + ": frames of full size would vanish; leave MTU out");
  }
  if (bridge == nullptr) plan.made = RemoveBridge{config.bridge, nic != nullptr ? nic->mac : MacAddress()};
  if (nic != nullptr && !is_port) plan.port = ReleaseBridgePort{config.bridge_port, config.bridge, nic->is_up};
  return plan;
}

void make_bridge(const Config& config, const BridgePlan& plan) {
  Netlink netlink;
  BridgeSettings settings{.name = config.bridge, .mtu = plan.mtu, .has_stp = false, .mac = {}};
  if (!plan.made->mac.is_zero()) settings.mac = plan.made->mac;
  netlink.add_bridge(settings);
  pin_bridge(config.bridge);
  netlink.set_up(require(config.bridge).name.index, true);
}

void pin_bridge(const std::string& bridge) {
  const LinkDetails link = require(bridge);
  Netlink().pin_bridge(link.name.index, link.mac);
}

void add_port(const ReleaseBridgePort& port) {
  Netlink netlink;
  const std::uint32_t nic = require(port.nic).name.index;
  netlink.set_up(nic, true);
  netlink.set_master(nic, require(port.bridge).name.index);
}

void remove_bridge(const RemoveBridge& made) {
  Netlink netlink;
  const auto bridge = find(made.bridge);
  const bool is_ours = bridge && bridge->kind == "bridge" && (made.mac.is_zero() || bridge->mac == made.mac);
  if (!is_ours) return;
  const auto is_port = [&](const LinkDetails& link) { return link.master == bridge->name.index; };
  if (std::ranges::any_of(netlink.link_details(), is_port)) return;
  netlink.remove_link(bridge->name.index);
}

void release_port(const ReleaseBridgePort& port) {
  const auto nic = find(port.nic);
  const auto bridge = find(port.bridge);
  if (!nic || !bridge || nic->master != bridge->name.index) return;
  Netlink netlink;
  netlink.set_master(nic->name.index, 0);
  if (!port.was_up) netlink.set_up(nic->name.index, false);
}

}  // namespace culvert
