// Changes to a running device, made between two packets.
#include <algorithm>
#include <vector>

#include "culvert/engine/engine.hpp"

namespace culvert {

void Engine::apply(DeviceChange&& change, const Now& now) {
  if (change.private_key) set_private_key(std::move(*change.private_key));
  if (change.cipher) set_cipher(*change.cipher);
  if (change.switching) set_switching(*change.switching);

  // One pass over the prefix table for all who lose their prefixes: a pass for each would take minutes for thousands.
  std::vector<bool> is_named(peers_.slot_count());
  std::vector<bool> loses_prefixes(peers_.slot_count());
  for (const PeerChange& peer_change : change.peers) {
    const Peer* peer = peers_.find(peer_change.public_key);
    if (!peer) continue;
    is_named[peer->id.value()] = true;
    if (change.replace_peers || peer_change.replace_allowed_ips || peer_change.is_removal) {
      loses_prefixes[peer->id.value()] = true;
    }
  }
  std::vector<PeerId> leaving;
  if (change.replace_peers) {
    peers_.for_each([&](const Peer& peer) {
      if (is_named[peer.id.value()]) return;
      loses_prefixes[peer.id.value()] = true;
      leaving.push_back(peer.id);
    });
  }
  if (std::ranges::find(loses_prefixes, true) != loses_prefixes.end()) prefixes_.remove_all(loses_prefixes);
  for (const PeerId id : leaving) forget_peer(id);

  std::vector<bool> is_done(is_named.size());
  for (PeerChange& peer_change : change.peers) apply(std::move(peer_change), change.replace_peers, is_done, now);
  restrict_sources();
}

void Engine::apply(PeerChange&& change, bool starts_from_nothing, std::vector<bool>& is_done, const Now& now) {
  const bool is_new = peers_.find(change.public_key) == nullptr;
  if (is_new && (change.is_removal || change.update_only)) return;
  if (identity() && change.public_key == identity()->public_key) return;
  const PeerId id = ensure_peer(change.public_key)->id;
  // Its prefixes went in the common pass, except when the same change names it again.
  const bool is_again = id.value() < is_done.size() && is_done[id.value()];
  if (id.value() >= is_done.size()) is_done.resize(id.value() + 1);
  is_done[id.value()] = true;
  if (change.is_removal) {
    if (is_again) prefixes_.remove_all(id);
    return forget_peer(id);
  }
  if (starts_from_nothing && !is_again) {
    if (!change.preshared_key) change.preshared_key.emplace();
    if (!change.persistent_keepalive) change.persistent_keepalive.emplace(0);
  }
  if (change.preshared_key) set_preshared_key(id, std::move(*change.preshared_key));
  if (change.endpoint) set_endpoint(id, *change.endpoint);
  if (change.candidate) probe_endpoint(id, *change.candidate, now);
  if (change.persistent_keepalive) set_persistent_keepalive(id, *change.persistent_keepalive, now);
  if (change.replace_allowed_ips && is_again) prefixes_.remove_all(id);
  for (const AllowedIpChange& allowed : change.allowed_ips) {
    if (allowed.is_removal) {
      prefixes_.remove(allowed.prefix, id);
    } else {
      prefixes_.insert(allowed.prefix, id);
    }
  }
}

}  // namespace culvert
