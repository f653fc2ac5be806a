// The trie behind crypto-routing: each node holds the bits that all prefixes below it share.
#include "culvert/forwarding/prefix_table.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

#include "culvert/base/endian.hpp"

namespace culvert {

std::optional<PeerId> PrefixTable::insert(const Prefix& prefix, PeerId peer) {
  assert(prefix.length <= prefix.address.bits());
  Trie& trie = trie_of(prefix.address.family());
  const Key key = key_of(prefix.masked().address);
  const unsigned length = prefix.length;

  // A link is named by the node it lies in, as allocating moves the nodes.
  std::uint32_t parent = Trie::none;
  std::uint32_t below = trie.root;
  unsigned common = 0;
  while (below != Trie::none) {
    Node& node = trie.nodes[below];
    common = std::min({common_bits(node.key, key), unsigned{node.length}, length});
    if (common < node.length) break;
    if (common == length) {
      const std::optional<PeerId> previous = node.has_peer ? std::optional(PeerId(node.peer)) : std::nullopt;
      size_ += node.has_peer ? 0 : 1;
      node.peer = peer.value();
      node.has_peer = true;
      return previous == peer ? std::nullopt : previous;
    }
    parent = below;
    below = node.children[bit(key, node.length)];
  }

  const std::uint32_t leaf = allocate(trie, key, length);
  std::uint32_t top = leaf;
  if (below != Trie::none && common == length) {
    trie.nodes[leaf].children[bit(trie.nodes[below].key, length)] = below;
  } else if (below != Trie::none) {
    try {
      top = allocate(trie, key_of(Prefix{prefix.address, static_cast<std::uint8_t>(common)}.masked().address), common);
    } catch (...) {
      release(trie, leaf);
      throw;
    }
    trie.nodes[top].children[bit(key, common)] = leaf;
    trie.nodes[top].children[bit(trie.nodes[below].key, common)] = below;
  }
  trie.nodes[leaf].peer = peer.value();
  trie.nodes[leaf].has_peer = true;
  if (parent == Trie::none) {
    trie.root = top;
  } else {
    trie.nodes[parent].children[bit(key, trie.nodes[parent].length)] = top;
  }
  ++size_;
  return std::nullopt;
}

bool PrefixTable::remove(const Prefix& prefix, PeerId peer) noexcept {
  Trie& trie = trie_of(prefix.address.family());
  const Key key = key_of(prefix.masked().address);

  std::uint32_t* grand_link = nullptr;
  std::uint32_t* link = &trie.root;
  while (*link != Trie::none) {
    Node& node = trie.nodes[*link];
    if (node.length >= prefix.length) break;
    grand_link = link;
    link = &node.children[bit(key, node.length)];
  }
  if (*link == Trie::none) return false;
  Node& node = trie.nodes[*link];
  const bool is_same = node.length == prefix.length && common_bits(node.key, key) >= node.length;
  if (!is_same || !node.has_peer || node.peer != peer.value()) return false;

  node.has_peer = false;
  --size_;
  *link = without_gaps(trie, *link);
  if (grand_link != nullptr) *grand_link = without_gaps(trie, *grand_link);
  return true;
}

// The depth is at most 129, as each level is at least one bit longer than the one above.
template <class IsGone>
std::uint32_t PrefixTable::prune(Trie& trie, std::uint32_t index, const IsGone& is_gone) noexcept {
  if (index == Trie::none) return index;
  Node& node = trie.nodes[index];
  for (std::uint32_t& child : node.children) child = prune(trie, child, is_gone);
  if (node.has_peer && is_gone(node.peer)) {
    node.has_peer = false;
    --size_;
  }
  return without_gaps(trie, index);
}

void PrefixTable::remove_all(PeerId peer) noexcept {
  const auto is_gone = [peer](std::uint32_t slot) { return slot == peer.value(); };
  for (Trie* trie : {&v4_, &v6_}) trie->root = prune(*trie, trie->root, is_gone);
}

void PrefixTable::remove_all(const std::vector<bool>& peers) noexcept {
  const auto is_gone = [&peers](std::uint32_t slot) { return slot < peers.size() && peers[slot]; };
  for (Trie* trie : {&v4_, &v6_}) trie->root = prune(*trie, trie->root, is_gone);
}

std::optional<PeerId> PrefixTable::find(const Address& address) const noexcept {
  const Trie& trie = trie_of(address.family());
  const Key key = key_of(address);
  const Node* best = nullptr;
  for (std::uint32_t index = trie.root; index != Trie::none;) {
    const Node& node = trie.nodes[index];
    if (common_bits(node.key, key) < node.length) break;
    if (node.has_peer) best = &node;
    if (node.length == address.bits()) break;
    index = node.children[bit(key, node.length)];
  }
  if (best == nullptr) return std::nullopt;
  return PeerId(best->peer);
}

void PrefixTable::for_each(const std::function<void(const Prefix&, PeerId)>& visit) const {
  visit_below(v4_, Family::V4, v4_.root, visit);
  visit_below(v6_, Family::V6, v6_.root, visit);
}

std::size_t PrefixTable::size() const noexcept {
  return size_;
}

PrefixTable::Key PrefixTable::key_of(const Address& address) noexcept {
  const ByteView bytes = address.bytes();
  if (address.is_v4()) return {std::uint64_t{load<Be32>(bytes.data())} << 32, 0};
  return {load<Be64>(bytes.data()), load<Be64>(bytes.data() + 8)};
}

unsigned PrefixTable::bit(const Key& key, unsigned index) noexcept {
  const std::uint64_t half = index < 64 ? key.high : key.low;
  return static_cast<unsigned>(half >> (63 - index % 64)) & 1;
}

unsigned PrefixTable::common_bits(const Key& a, const Key& b) noexcept {
  const std::uint64_t high = a.high ^ b.high;
  if (high != 0) return static_cast<unsigned>(std::countl_zero(high));
  return 64 + static_cast<unsigned>(std::countl_zero(a.low ^ b.low));
}

std::uint32_t PrefixTable::allocate(Trie& trie, const Key& key, unsigned length) {
  const Node node{.key = key,
                  .children = {Trie::none, Trie::none},
                  .peer = 0,
                  .length = static_cast<std::uint8_t>(length),
                  .has_peer = false};
  if (trie.free == Trie::none) {
    trie.nodes.push_back(node);
    return static_cast<std::uint32_t>(trie.nodes.size() - 1);
  }
  const std::uint32_t index = trie.free;
  trie.free = trie.nodes[index].children[0];
  trie.nodes[index] = node;
  return index;
}

void PrefixTable::release(Trie& trie, std::uint32_t index) noexcept {
  trie.nodes[index].has_peer = false;
  trie.nodes[index].children[0] = trie.free;
  trie.free = index;
}

/// What should stand in place of node `index`: a node that holds no peer and joins nothing is given back.
std::uint32_t PrefixTable::without_gaps(Trie& trie, std::uint32_t index) noexcept {
  const Node& node = trie.nodes[index];
  const auto [left, right] = node.children;
  if (node.has_peer || (left != Trie::none && right != Trie::none)) return index;
  release(trie, index);
  return left != Trie::none ? left : right;
}

void PrefixTable::visit_below(const Trie& trie, Family family, std::uint32_t index,
                              const std::function<void(const Prefix&, PeerId)>& visit) {
  if (index == Trie::none) return;
  const Node& node = trie.nodes[index];
  if (node.has_peer) {
    std::array<std::byte, 16> bytes;
    if (family == Family::V4) {
      store<Be32>(bytes.data(), static_cast<std::uint32_t>(node.key.high >> 32));
    } else {
      store<Be64>(bytes.data(), node.key.high);
      store<Be64>(bytes.data() + 8, node.key.low);
    }
    visit(Prefix{Address::from_bytes(family, bytes), node.length}, PeerId(node.peer));
  }
  for (const std::uint32_t child : node.children) visit_below(trie, family, child, visit);
}

}  // namespace culvert
