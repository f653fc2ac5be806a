// Finding a peer by key and by index.
#include "culvert/engine/peer_directory.hpp"

#include <stdexcept>

namespace culvert {

Peer& PeerDirectory::ensure(const Identity& identity, const PublicKey& key) {
  if (Peer* known = find(key)) return *known;
  if (size() >= limits::peers_max) throw std::length_error("a device has at most 1048576 peers");
  if (free_.empty()) {
    free_.push_back(PeerId(static_cast<std::uint32_t>(slots_.size())));
    slots_.emplace_back();
  }
  const PeerId id = free_.back();
  auto peer = std::make_unique<Peer>(id, identity, key);
  by_key_.emplace(key, id);
  free_.pop_back();
  slots_[id.value()] = std::move(peer);
  return *slots_[id.value()];
}

void PeerDirectory::remove(PeerId id) noexcept {
  auto& slot = slots_[id.value()];
  by_key_.erase(slot->public_key());
  slot.reset();
  free_.push_back(id);
}

Peer* PeerDirectory::find(const PublicKey& key) noexcept {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : slots_[found->second.value()].get();
}

Peer* PeerDirectory::find(SessionIndex index) noexcept {
  const auto found = by_index_.find(index);
  return found == by_index_.end() ? nullptr : slots_[found->second.value()].get();
}

SessionIndex PeerDirectory::claim_index(PeerId id, Random& random) {
  for (;;) {
    const SessionIndex index(random.next_u32());
    if (by_index_.emplace(index, id).second) return index;
  }
}

}  // namespace culvert
