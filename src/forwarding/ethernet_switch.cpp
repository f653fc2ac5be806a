// What goes where, once, and never back.
#include "culvert/forwarding/ethernet_switch.hpp"

#include <algorithm>

namespace culvert {
namespace {

/// Of a bucket that is full again at `full_at`.
bool take_token(Timestamp& full_at, unsigned burst, unsigned per_second, Timestamp now) noexcept {
  const Timestamp::duration cost = Timestamp::duration(std::chrono::seconds(1)) / per_second;
  const Timestamp next = std::max(full_at, now) + cost;
  if (next - now > burst * cost) return false;
  full_at = next;
  return true;
}

}  // namespace

void EthernetSwitch::add_port(PeerId peer) {
  if (peers_.size() <= peer.value()) peers_.resize(peer.value() + 1);
  table_.reserve(peers_.size());
}

void EthernetSwitch::remove_port(PeerId peer) noexcept {
  table_.remove(peer);
  if (peer.value() < peers_.size()) peers_[peer.value()] = {};
}

void EthernetSwitch::set_blocked(PeerId peer, bool is_blocked) noexcept {
  peers_[peer.value()].is_blocked = is_blocked;
  if (is_blocked) table_.remove(peer);
}

Verdict<EthernetSwitch::Decision> EthernetSwitch::decide(SwitchPort from, const EthernetHeader& header,
                                                         Timestamp now) noexcept {
  if (!from.is_local() && is_blocked(from.peer())) return DropReason::PortBlocked;
  if (header.destination.is_link_local_group() && !settings_.link_local_frames) return DropReason::LinkLocalGroup;
  const bool has_own = !own_address_.is_zero();
  if (has_own && !from.is_local() && header.source == own_address_) return DropReason::LocalAddress;
  if (const auto learned = table_.learn(header.vlan, header.source, from, now); !learned) return learned.error();

  if (has_own && header.destination == own_address_) {
    if (from.is_local()) return DropReason::SamePort;
    return Decision{.is_flood = false, .to = {}};
  }
  if (!header.destination.is_multicast()) {
    if (const auto to = table_.find(header.vlan, header.destination, now)) {
      if (*to == from) return DropReason::SamePort;
      if (!to->is_local() && !from.is_local() && !settings_.relay) return DropReason::NotRelayed;
      if (!to->is_local() && is_blocked(to->peer())) return DropReason::PortBlocked;
      return Decision{.is_flood = false, .to = *to};
    }
  }
  if (!from.is_local() &&
      !take_token(peers_[from.peer().value()].flooded_until, floods_burst, floods_per_second, now)) {
    return DropReason::FloodLimit;
  }
  return Decision{.is_flood = true, .to = {}};
}

Verdict<void> EthernetSwitch::admit_probe(SwitchPort from, Timestamp now) noexcept {
  if (from.is_local()) return {};
  if (is_blocked(from.peer())) return DropReason::PortBlocked;
  if (!take_token(peers_[from.peer().value()].probed_until, probes_burst, probes_per_second, now)) {
    return DropReason::FloodLimit;
  }
  return {};
}

}  // namespace culvert
