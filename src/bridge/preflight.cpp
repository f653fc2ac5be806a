// What stands in the way of a bridge, in the order in which a user would want to hear it.
#include "culvert/bridge/preflight.hpp"

#include <algorithm>

#include "culvert/netns/link_setup.hpp"

namespace culvert {

namespace {

std::string cannot_join(const std::string& name, const std::string& bridge) {
  return name + " cannot be a port of " + bridge + ": ";
}

/// Of any port, the NIC or another.
std::optional<std::string> refusal_of_port(const LinkDetails& port, const BridgeWish& wish, const BridgeFacts& facts) {
  return why_not_a_port(port, wish.bridge, facts.links);
}

std::optional<std::string> refusal_of_bridge(const BridgeWish& wish, const BridgeFacts& facts) {
  const LinkDetails* const bridge = facts.link(wish.bridge);
  if (bridge == nullptr) return std::nullopt;
  if (bridge->kind != "bridge") return wish.bridge + " is there already and is no bridge: choose another name";
  if (facts.has_address()) {
    return wish.bridge +
           " is there already: a NIC with addresses gets a bridge of its own, with the NIC's MAC address; "
           "choose a name that is free";
  }
  return std::nullopt;
}

std::optional<std::string> refusal_of_mtu(const LinkDetails& port, const LinkDetails& other, const std::string& what) {
  if (port.mtu >= other.mtu) return std::nullopt;
  return port.name.name + " has an MTU of " + std::to_string(port.mtu) + ", less than the " +
         std::to_string(other.mtu) + " of " + what + " " + other.name.name +
         ": frames of full size would vanish; ip link set " + port.name.name + " mtu " + std::to_string(other.mtu);
}

std::optional<std::string> refusal_of_nic(const BridgeWish& wish, const BridgeFacts& facts, const LinkDetails& nic) {
  if (facts.surroundings.is_wifi) {
    return cannot_join(wish.nic, wish.bridge) +
           "it is Wi-Fi, and an access point takes frames from no station but its own: use a cable, or route instead";
  }
  if (auto refusal = refusal_of_port(nic, wish, facts)) return refusal;
  if (const auto& manager = facts.surroundings.manager) {
    return cannot_join(wish.nic, wish.bridge) + manager->name + " manages it and would put the addresses back: let " +
           manager->name + " make the bridge (" + manager->advice + ")";
  }
  return std::nullopt;
}

std::optional<std::string> refusal_of_confirm(const BridgeWish& wish, const BridgeFacts& facts) {
  if (!wish.confirm) {
    if (!facts.has_address()) return std::nullopt;
    return wish.nic +
           " has addresses, and a mistake would lock you out: say --confirm SECONDS, after which all is "
           "undone unless you confirm, or bridge a NIC without addresses";
  }
  if (*wish.confirm >= least_confirm && *wish.confirm <= most_confirm) return std::nullopt;
  return "the time to confirm must be " + std::to_string(least_confirm.count()) + " to " +
         std::to_string(most_confirm.count()) + " seconds";
}

std::optional<std::string> refusal_of_tap(const BridgeWish& wish, const BridgeFacts& facts, const LinkDetails& nic) {
  if (wish.tap.empty()) return std::nullopt;
  const LinkDetails* const tap = facts.link(wish.tap);
  if (tap == nullptr) return "there is no interface " + wish.tap + " in this network namespace";
  if (tap == &nic) return wish.tap + " is named as the NIC and as the tap";
  if (auto refusal = refusal_of_port(*tap, wish, facts)) return refusal;
  return refusal_of_mtu(*tap, nic, "NIC");
}

}  // namespace

const LinkDetails* BridgeFacts::link(const std::string& name) const {
  const auto found = std::ranges::find_if(links, [&](const LinkDetails& link) { return link.name.name == name; });
  return found == links.end() ? nullptr : &*found;
}

const LinkDetails* BridgeFacts::link(std::uint32_t index) const {
  const auto found = std::ranges::find_if(links, [&](const LinkDetails& link) { return link.name.index == index; });
  return found == links.end() ? nullptr : &*found;
}

bool BridgeFacts::has_address() const {
  return std::ranges::any_of(objects, is_global_address);
}

std::optional<std::string> refusal_of(const BridgeWish& wish, const BridgeFacts& facts) {
  const LinkDetails* const nic = facts.link(wish.nic);
  if (nic == nullptr) {
    return "there is no interface " + wish.nic +
           " in this network namespace (if it is in another: ip netns exec NAME culvert bridge …)";
  }
  if (wish.nic == wish.bridge) return "the NIC and the bridge cannot have one name";
  if (auto refusal = refusal_of_nic(wish, facts, *nic)) return refusal;
  if (auto refusal = refusal_of_bridge(wish, facts)) return refusal;
  if (const LinkDetails* const bridge = facts.link(wish.bridge)) {
    if (auto refusal = refusal_of_mtu(*nic, *bridge, "bridge")) return refusal;
  }
  if (auto refusal = refusal_of_tap(wish, facts, *nic)) return refusal;
  if (std::ranges::any_of(facts.objects, has_nexthop_object)) {
    return wish.nic +
           " has routes by nexthop objects (ip nexthop), which cannot be moved: make them plain routes first";
  }
  return refusal_of_confirm(wish, facts);
}

std::optional<std::chrono::seconds> confirm_time_of(const BridgeWish& wish) {
  if (!wish.confirm || !wish.has_stp) return wish.confirm;
  return std::max(*wish.confirm, least_confirm_with_stp);
}

std::vector<std::string> cautions_about(const BridgeWish& wish, const BridgeFacts& facts) {
  std::vector<std::string> cautions;
  if (wish.has_stp) {
    cautions.push_back("with spanning tree the bridge forwards nothing for " +
                       std::to_string(2 * stp_forward_delay.count()) + " s: all connections stand still");
    if (confirm_time_of(wish) != wish.confirm) {
      cautions.push_back("therefore there are " + std::to_string(confirm_time_of(wish)->count()) +
                         " s to confirm instead of " + std::to_string(wish.confirm->count()));
    }
  }
  if (facts.surroundings.filters_bridged_frames) {
    cautions.emplace_back(
        "net.bridge.bridge-nf-call-iptables is 1: the packet filter's FORWARD rules (Docker's, for one) decide about "
        "bridged frames, too");
  }
  if (facts.surroundings.is_reverse_path_strict) {
    cautions.push_back("rp_filter is 1: the bridge gets the setting of " + wish.nic +
                       "; an address left on the NIC would be dead");
  }
  if (facts.surroundings.hypervisor) {
    cautions.push_back(
        "this machine is a guest of " + *facts.surroundings.hypervisor +
        ", which drops frames of other stations unless its switch port allows promiscuous mode and forged "
        "transmits");
  }
  for (const NetworkObject& object : facts.objects) {
    if (const auto lifetime = lifetime_of(object); lifetime && is_global_address(object)) {
      cautions.push_back(describe(object) + " ends in " + std::to_string(lifetime->count()) +
                         " s unless whoever leased it renews it on " + wish.bridge);
    }
  }
  return cautions;
}

}  // namespace culvert
