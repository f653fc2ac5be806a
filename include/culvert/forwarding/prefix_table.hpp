// Which peer is responsible for an address: longest-prefix match over the whole device.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "culvert/base/address.hpp"
#include "culvert/base/strong_id.hpp"

namespace culvert {

/// A peer's slot in its engine.
using PeerId = StrongId<struct PeerIdTag, std::uint32_t>;

/// A compressed binary trie per family, nodes in one vector each. Lookup takes at most 32 or 128 steps and allocates
/// nothing; changes may allocate. Each prefix belongs to one peer: inserting it again moves it. Host bits are ignored.
class PrefixTable {
 public:
  /// Returns the peer that had this very prefix before, if another.
  std::optional<PeerId> insert(const Prefix& prefix, PeerId peer);
  /// Removes this very prefix if `peer` has it; returns whether it did.
  bool remove(const Prefix& prefix, PeerId peer) noexcept;
  /// Removes all prefixes of `peer`; proportional to the size of the table.
  void remove_all(PeerId peer) noexcept;
  /// Removes all prefixes of the peers whose slot is true in `peers`, in one pass over the table.
  void remove_all(const std::vector<bool>& peers) noexcept;

  /// The peer of the longest prefix that contains `address`.
  [[nodiscard]] std::optional<PeerId> find(const Address& address) const noexcept;

  /// Calls `visit` for each prefix, IPv4 first, in ascending order of address, then of length.
  void for_each(const std::function<void(const Prefix&, PeerId)>& visit) const;
  [[nodiscard]] std::size_t size() const noexcept;
  /// How many nodes memory is held for: less than twice the greatest size() so far, whatever came and went.
  [[nodiscard]] std::size_t node_count() const noexcept { return v4_.nodes.size() + v6_.nodes.size(); }

 private:
  /// An address as the leading bits of a 128-bit number, most significant first.
  struct Key {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
  };
  /// Half a cache line. Without a peer it only joins two children, or is on the free list.
  struct alignas(32) Node {
    Key key;  ///< bits from `length` on are zero
    std::array<std::uint32_t, 2> children;
    std::uint32_t peer;
    std::uint8_t length;
    bool has_peer;
  };
  struct Trie {
    static constexpr std::uint32_t none = ~std::uint32_t{0};
    std::vector<Node> nodes;
    std::uint32_t root = none;
    std::uint32_t free = none;  ///< first of a list through children[0]
  };

  static Key key_of(const Address& address) noexcept;
  static unsigned bit(const Key& key, unsigned index) noexcept;
  static unsigned common_bits(const Key& a, const Key& b) noexcept;
  static std::uint32_t allocate(Trie& trie, const Key& key, unsigned length);
  static void release(Trie& trie, std::uint32_t index) noexcept;
  static std::uint32_t without_gaps(Trie& trie, std::uint32_t index) noexcept;
  template <class IsGone>
  std::uint32_t prune(Trie& trie, std::uint32_t index, const IsGone& is_gone) noexcept;
  static void visit_below(const Trie& trie, Family family, std::uint32_t index,
                          const std::function<void(const Prefix&, PeerId)>& visit);

  [[nodiscard]] Trie& trie_of(Family family) noexcept { return family == Family::V4 ? v4_ : v6_; }
  [[nodiscard]] const Trie& trie_of(Family family) const noexcept { return family == Family::V4 ? v4_ : v6_; }

  Trie v4_;
  Trie v6_;
  std::size_t size_ = 0;
};

}  // namespace culvert
