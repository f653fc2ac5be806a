// Finding a peer: by slot, by public key, by session index. Each in constant time.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <memory>
#include <vector>

#include "culvert/base/random.hpp"
#include "culvert/engine/peer.hpp"

namespace culvert {

/// Owns the peers. A slot is reused after its peer was removed.
class PeerDirectory {
 public:
  /// The peer with this key, made if there is none. Throws std::length_error beyond limits::peers_max.
  Peer& ensure(const Identity& identity, const PublicKey& key);
  /// All indices of the peer must have been released.
  void remove(PeerId id) noexcept;

  [[nodiscard]] Peer* find(PeerId id) noexcept {
    return id.value() < slots_.size() ? slots_[id.value()].get() : nullptr;
  }
  [[nodiscard]] const Peer* find(PeerId id) const noexcept {
    return id.value() < slots_.size() ? slots_[id.value()].get() : nullptr;
  }
  [[nodiscard]] Peer* find(const PublicKey& key) noexcept;
  [[nodiscard]] Peer* find(SessionIndex index) noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return by_key_.size(); }
  /// Ids are below this.
  [[nodiscard]] std::size_t slot_count() const noexcept { return slots_.size(); }

  /// A random index that nobody has (W-03: unpredictable, not sequential), from now on naming `id`.
  [[nodiscard]] SessionIndex claim_index(PeerId id, Random& random);
  void release_index(SessionIndex index) noexcept { by_index_.erase(index); }
  [[nodiscard]] std::size_t index_count() const noexcept { return by_index_.size(); }

  /// Calls `visit(Peer&)` in order of slots; `visit` must not add or remove peers.
  template <class Visit>
  void for_each(Visit visit) {
    for (auto& slot : slots_) {
      if (slot) visit(*slot);
    }
  }
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& slot : slots_) {
      if (slot) visit(std::as_const(*slot));
    }
  }

 private:
  std::vector<std::unique_ptr<Peer>> slots_;
  std::vector<PeerId> free_;
  boost::unordered_flat_map<PublicKey, PeerId, std::hash<PublicKey>> by_key_;
  boost::unordered_flat_map<SessionIndex, PeerId, std::hash<SessionIndex>> by_index_;
};

}  // namespace culvert
