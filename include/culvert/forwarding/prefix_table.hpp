// Which peer is responsible for an address: longest-prefix match over the whole device.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "culvert/base/address.hpp"
#include "culvert/base/strong_id.hpp"

namespace culvert {

/// A peer's slot in its engine.
using PeerId = StrongId<struct PeerIdTag, std::uint32_t>;

/// A compressed binary trie per family, nodes in one vector each. Lookup takes at most 32 or 128 steps and allocates nothing;
/// changes may allocate. Each prefix belongs to one peer: inserting it again moves it. Host bits are ignored.
class PrefixTable {
 public:
  /// Returns the peer that had this very prefix before, if another.
  std::optional<PeerId> insert(const Prefix& prefix, PeerId peer);
  /// Removes this very prefix if `peer` has it; returns whether it did.
  bool remove(const Prefix& prefix, PeerId peer) noexcept;
  /// Removes all prefixes of `peer`; proportional to the size of the table.
  void remove_all(PeerId peer) noexcept;

  /// The peer of the longest prefix that contains `address`.
  [[nodiscard]] std::optional<PeerId> find(const Address& address) const noexcept;

  /// Calls `visit` for each prefix, IPv4 first, in ascending order of address, then of length.
  void for_each(const std::function<void(const Prefix&, PeerId)>& visit) const;
  [[nodiscard]] std::size_t size() const noexcept;

 private:
  struct Node;
  struct Trie {
    std::vector<Node> nodes;
    std::vector<std::uint32_t> free;
    std::uint32_t root;
  };
};

}  // namespace culvert
