// Which station was heard on which port: what a learning switch knows.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "culvert/base/mac_address.hpp"
#include "culvert/base/result.hpp"
#include "culvert/base/time.hpp"
#include "culvert/forwarding/switch_port.hpp"

namespace culvert {

/// Stations by VLAN and address. One half of the entries is for the local device, the other for the peers together, so
/// that no peer can push a local station out. When a half is full, whoever asks for one more takes it from a peer that
/// has more than he, or replaces what he himself has not heard for longest. A hash table in fixed memory, about 280 KB;
/// its key keeps peers from choosing addresses that fall into one place. No call but reserve() allocates; each takes
/// constant time, remove() and clear() as long as there are entries to go.
class MacTable {
 public:
  static constexpr std::size_t capacity = 8192;
  static constexpr std::size_t half = capacity / 2;
  /// A station not heard for so long is forgotten (IEEE 802.1Q, table 8-6).
  static constexpr auto max_age = std::chrono::seconds(300);
  /// For so long after a station was heard on the local side no peer can have it. Longer than a frame goes round in any
  /// loop; short enough for somebody who carries a laptop from one site to the other.
  static constexpr auto local_time = std::chrono::seconds(30);

  struct Entry {
    std::uint16_t vlan = 0;
    MacAddress address;
    SwitchPort port;
    Timestamp seen;  ///< when it was last heard; up to a second older
  };

  /// `hash_key` should be random.
  explicit MacTable(const std::array<std::uint64_t, 2>& hash_key);

  /// Peers whose slot is below `peers` can be learned from; may allocate.
  void reserve(std::size_t peers);

  /// `source` was heard on `port`, which has been reserved. SourceAddress when it can be nobody's: a group's or zero.
  /// LocalAddress when a peer uses the address of a station that the local device was heard to have, less than
  /// local_time ago.
  [[nodiscard]] Verdict<void> learn(std::uint16_t vlan, MacAddress source, SwitchPort port, Timestamp now) noexcept;
  [[nodiscard]] std::optional<SwitchPort> find(std::uint16_t vlan, MacAddress address, Timestamp now) const noexcept;
  /// Forgets all of a port.
  void remove(SwitchPort port) noexcept;
  /// Forgets all.
  void clear() noexcept;

  /// Those not too old and those not yet thrown out.
  [[nodiscard]] std::size_t size() const noexcept { return sizes_[0] + sizes_[1]; }
  [[nodiscard]] std::size_t size_of(SwitchPort port) const noexcept;

  /// Calls `visit(const Entry&)` for each entry that is not too old, in no order.
  template <class Visit>
  void for_each(Timestamp now, Visit visit) const {
    for (const Node& node : nodes_) {
      if (node.is_used && !is_old(node, now)) visit(entry_of(node));
    }
  }

 private:
  using Index = std::uint16_t;
  static constexpr Index none = 0xffff;

  struct Node {
    std::uint64_t key = 0;  ///< VLAN above the address
    Timestamp seen{};
    SwitchPort port;
    Index next_in_bucket = none;
    Index newer = none;  ///< of the same port
    Index older = none;  ///< of the same port; of the free list: the next
    bool is_used = false;
  };
  struct Port {
    Index newest = none;
    Index oldest = none;
    std::uint16_t size = 0;
  };

  static constexpr std::uint64_t key_of(std::uint16_t vlan, MacAddress address) noexcept {
    return (std::uint64_t{vlan} << 48) | address.value();
  }
  static bool is_old(const Node& node, Timestamp now) noexcept { return now - node.seen >= max_age; }
  static Entry entry_of(const Node& node) noexcept;
  [[nodiscard]] std::size_t bucket_of(std::uint64_t key) const noexcept;
  [[nodiscard]] Index find_node(std::uint64_t key) const noexcept;
  void link(Index index, SwitchPort port, Timestamp now) noexcept;
  void unlink(Index index) noexcept;
  void release(Index index) noexcept;
  /// Frees a place in the half of `port`; false when nobody has to give way.
  [[nodiscard]] bool make_room(SwitchPort port, Timestamp now) noexcept;

  std::array<std::uint64_t, 2> hash_key_;
  std::vector<Node> nodes_;
  std::vector<Index> buckets_;
  std::vector<Port> ports_;             ///< by number
  std::array<std::size_t, 2> sizes_{};  ///< of the local device, of all peers
  Index free_ = 0;
  Index hand_ = 0;  ///< where make_room() looks next
};

}  // namespace culvert
