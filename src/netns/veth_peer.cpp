// Following a veth to its other end.
#include "culvert/netns/veth_peer.hpp"

#include <algorithm>
#include <exception>
#include <stdexcept>

namespace culvert {

namespace {

bool is_end_of_pair(const InterfaceFacts& facts) {
  return facts.kind == "veth" || facts.kind == "netkit" || facts.kind == "vxcan";
}

std::optional<std::string> name_in(const NetworkNamespace& space, std::uint32_t index) {
  const std::vector<InterfaceFacts> all = netlink_in(space).interfaces();
  const auto found = std::ranges::find(all, index, [](const InterfaceFacts& facts) { return facts.name.index; });
  return found == all.end() ? std::nullopt : std::optional(found->name.name);
}

// The only bridge from a number to a namespace is to ask for the number of each.
bool has_number(Netlink& netlink, const KnownNamespace& candidate, std::int32_t number) {
  try {
    const auto space = NetworkNamespace::open(candidate.specification());
    return space.identity() == candidate.identity && netlink.namespace_number(space.fd()) == number;
  } catch (const std::exception&) {
    // Gone meanwhile, or not to be looked at.
    return false;
  }
}

void find_home(Netlink& netlink, std::int32_t number, VethPeer& peer) {
  for (KnownNamespace& candidate : known_namespaces()) {
    if (!has_number(netlink, candidate, number)) continue;
    try {
      peer.name = name_in(NetworkNamespace::open(candidate.specification()), peer.index).value_or("");
    } catch (const std::exception&) {
      // It may be known, and not be for this user to enter.
    }
    peer.home = std::move(candidate);
    break;
  }
  if (peer.name.empty()) peer.name = netlink.name_of_link_in(number, peer.index).value_or("");
}

}  // namespace

VethPeer peer_of(const NetworkNamespace& space, const std::string& name) {
  Netlink netlink = netlink_in(space);
  const InterfaceFacts facts = require_interface(netlink, space, name);
  if (!is_end_of_pair(facts)) {
    throw std::invalid_argument("interface '" + name + "' in " + describe(space) + " has no other end: it is " +
                                (facts.kind.empty() ? "no virtual link" : "of kind " + facts.kind) + ", not a veth");
  }
  VethPeer peer;
  peer.index = facts.other != 0 ? facts.other : facts.name.index;
  if (!facts.other_namespace) {
    peer.is_here = true;
    peer.name = name_in(space, peer.index).value_or("");
    std::vector<KnownNamespace> known = known_namespaces();
    const auto own = std::ranges::find(known, space.identity(), &KnownNamespace::identity);
    if (own != known.end()) peer.home = std::move(*own);
  } else if (*facts.other_namespace >= 0) {
    peer.namespace_number = facts.other_namespace;
    find_home(netlink, *facts.other_namespace, peer);
  }
  return peer;
}

}  // namespace culvert
