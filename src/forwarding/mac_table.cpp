// A chained hash table over an array of nodes, each of which is also in its port's list from newest to oldest.
#include "culvert/forwarding/mac_table.hpp"

#include <algorithm>
#include <utility>

namespace culvert {
namespace {

/// A station that is heard all the time is moved to the front of its list no more often than this.
constexpr auto refresh_interval = std::chrono::seconds(1);
/// How many nodes one call looks at for one that can give way.
constexpr int nodes_looked_at = 16;

}  // namespace

MacTable::MacTable(const std::array<std::uint64_t, 2>& hash_key)
    : hash_key_(hash_key), nodes_(capacity), buckets_(capacity, none), ports_(1) {
  for (std::size_t i = 0; i + 1 < capacity; ++i) nodes_[i].older = static_cast<Index>(i + 1);
}

void MacTable::reserve(std::size_t peers) {
  if (ports_.size() < peers + 1) ports_.resize(peers + 1);
}

MacTable::Entry MacTable::entry_of(const Node& node) noexcept {
  return {static_cast<std::uint16_t>(node.key >> 48), MacAddress(node.key), node.port, node.seen};
}

std::size_t MacTable::bucket_of(std::uint64_t key) const noexcept {
  // Each product is folded, so that every bit of key and secret counts for the result.
  const auto mixed = [](std::uint64_t a, std::uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = Wide{a} * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  const std::uint64_t once = mixed(key ^ hash_key_[0], hash_key_[1] | 1);
  return mixed(once ^ hash_key_[1], 0x9e37'79b9'7f4a'7c15) % capacity;
}

MacTable::Index MacTable::find_node(std::uint64_t key) const noexcept {
  Index index = buckets_[bucket_of(key)];
  while (index != none && nodes_[index].key != key) index = nodes_[index].next_in_bucket;
  return index;
}

std::optional<SwitchPort> MacTable::find(std::uint16_t vlan, MacAddress address, Timestamp now) const noexcept {
  const Index index = find_node(key_of(vlan, address));
  if (index == none || is_old(nodes_[index], now)) return std::nullopt;
  return nodes_[index].port;
}

Verdict<void> MacTable::learn(std::uint16_t vlan, MacAddress source, SwitchPort port, Timestamp now) noexcept {
  if (source.is_multicast() || source.is_zero()) return DropReason::SourceAddress;
  const std::uint64_t key = key_of(vlan, source);
  if (const Index known = find_node(key); known != none) {
    Node& node = nodes_[known];
    if (node.port == port) {
      if (now - node.seen < refresh_interval) return {};
      unlink(known);
      link(known, port, now);
      return {};
    }
    if (node.port.is_local() && now - node.seen < local_time) return DropReason::LocalAddress;
    release(known);
  }
  if ((sizes_[port.is_local() ? 0 : 1] == half || free_ == none) && !make_room(port, now)) return {};
  const Index index = free_;
  Node& node = nodes_[index];
  free_ = node.older;
  Index& bucket = buckets_[bucket_of(key)];
  node.key = key;
  node.is_used = true;
  node.next_in_bucket = std::exchange(bucket, index);
  link(index, port, now);
  return {};
}

bool MacTable::make_room(SwitchPort port, Timestamp now) noexcept {
  const Port& own = ports_[port.number()];
  if (!port.is_local()) {
    for (int i = 0; i < nodes_looked_at; ++i) {
      const Node& node = nodes_[hand_];
      hand_ = static_cast<Index>((hand_ + 1) % capacity);
      if (!node.is_used || node.port.is_local()) continue;
      const Port& owner = ports_[node.port.number()];
      // By more than one, so that two do not take turns.
      if (!is_old(nodes_[owner.oldest], now) && owner.size <= own.size + 1) continue;
      release(owner.oldest);
      return true;
    }
  }
  if (own.oldest == none) return false;
  release(own.oldest);
  return true;
}

void MacTable::link(Index index, SwitchPort port, Timestamp now) noexcept {
  Node& node = nodes_[index];
  Port& owner = ports_[port.number()];
  node.port = port;
  node.seen = now;
  node.newer = none;
  node.older = std::exchange(owner.newest, index);
  (node.older == none ? owner.oldest : nodes_[node.older].newer) = index;
  ++owner.size;
  ++sizes_[port.is_local() ? 0 : 1];
}

void MacTable::unlink(Index index) noexcept {
  const Node& node = nodes_[index];
  Port& owner = ports_[node.port.number()];
  (node.newer == none ? owner.newest : nodes_[node.newer].older) = node.older;
  (node.older == none ? owner.oldest : nodes_[node.older].newer) = node.newer;
  --owner.size;
  --sizes_[node.port.is_local() ? 0 : 1];
}

void MacTable::release(Index index) noexcept {
  unlink(index);
  Node& node = nodes_[index];
  Index* place = &buckets_[bucket_of(node.key)];
  while (*place != index) place = &nodes_[*place].next_in_bucket;
  *place = node.next_in_bucket;
  node.is_used = false;
  node.older = std::exchange(free_, index);
}

void MacTable::remove(SwitchPort port) noexcept {
  if (port.number() >= ports_.size()) return;
  while (ports_[port.number()].oldest != none) release(ports_[port.number()].oldest);
}

void MacTable::clear() noexcept {
  for (Index index = 0; index < capacity; ++index) {
    if (nodes_[index].is_used) release(index);
  }
}

std::size_t MacTable::size_of(SwitchPort port) const noexcept {
  return port.number() < ports_.size() ? ports_[port.number()].size : 0;
}

}  // namespace culvert
