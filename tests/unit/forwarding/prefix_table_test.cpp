// Crypto-routing: which prefix wins, who owns it, and that the trie agrees with a plain list.
#include "culvert/forwarding/prefix_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culvert/base/endian.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

Prefix prefix(std::string_view text) {
  return Prefix::parse(text).value();
}
Address address(std::string_view text) {
  return Address::parse(text).value();
}
PeerId peer(std::uint32_t number) {
  return PeerId(number);
}

using Entries = std::vector<std::pair<std::string, std::uint32_t>>;
Entries entries_of(const PrefixTable& table) {
  Entries entries;
  table.for_each([&](const Prefix& p, PeerId id) { entries.emplace_back(p.to_string(), id.value()); });
  return entries;
}

TEST(PrefixTable, finds_nothing_when_empty) {
  const PrefixTable table;
  EXPECT_EQ(table.find(address("10.0.0.1")), std::nullopt);
  EXPECT_EQ(table.find(address("::")), std::nullopt);
  EXPECT_EQ(table.size(), 0U);
}

// W-14: A has the network, B one host inside it.
TEST(PrefixTable, prefers_the_longest_prefix_whatever_the_order_of_insertion) {
  std::array<std::pair<Prefix, PeerId>, 3> rows{
      {{prefix("10.0.0.0/8"), peer(1)}, {prefix("10.2.0.0/24"), peer(2)}, {prefix("10.2.0.7/32"), peer(3)}}};
  std::array<std::size_t, 3> order{0, 1, 2};
  do {
    PrefixTable table;
    for (const std::size_t i : order) EXPECT_EQ(table.insert(rows[i].first, rows[i].second), std::nullopt);
    EXPECT_EQ(table.find(address("10.2.0.7")), peer(3));
    EXPECT_EQ(table.find(address("10.2.0.8")), peer(2));
    EXPECT_EQ(table.find(address("10.2.1.7")), peer(1));
    EXPECT_EQ(table.find(address("11.2.0.7")), std::nullopt);
    EXPECT_EQ(table.size(), 3U);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(PrefixTable, a_joining_node_owns_nothing) {
  PrefixTable table;
  table.insert(prefix("10.0.0.0/32"), peer(1));
  table.insert(prefix("10.0.0.2/32"), peer(2));
  EXPECT_EQ(table.find(address("10.0.0.1")), std::nullopt);
  EXPECT_EQ(table.find(address("10.0.0.3")), std::nullopt);
  EXPECT_FALSE(table.remove(prefix("10.0.0.0/30"), peer(0)));
  EXPECT_EQ(entries_of(table), (Entries{{"10.0.0.0/32", 1}, {"10.0.0.2/32", 2}}));
}

TEST(PrefixTable, a_default_route_takes_what_is_left) {
  PrefixTable table;
  table.insert(prefix("0.0.0.0/0"), peer(1));
  table.insert(prefix("::/0"), peer(2));
  table.insert(prefix("2001:db8::/32"), peer(3));
  EXPECT_EQ(table.find(address("255.255.255.255")), peer(1));
  EXPECT_EQ(table.find(address("0.0.0.0")), peer(1));
  EXPECT_EQ(table.find(address("ffff::")), peer(2));
  EXPECT_EQ(table.find(address("2001:db8:ffff::1")), peer(3));
}

TEST(PrefixTable, keeps_the_families_apart) {
  PrefixTable table;
  table.insert(prefix("::/0"), peer(1));
  EXPECT_EQ(table.find(address("0.0.0.0")), std::nullopt);
  table.insert(prefix("10.0.0.0/8"), peer(2));
  EXPECT_EQ(table.find(address("a00::")), peer(1));
}

TEST(PrefixTable, tells_prefixes_apart_on_both_sides_of_bit_64) {
  PrefixTable table;
  table.insert(prefix("2001:db8:0:1::/63"), peer(1));
  table.insert(prefix("2001:db8:0:1::/64"), peer(2));
  table.insert(prefix("2001:db8:0:1:8000::/65"), peer(3));
  table.insert(prefix("2001:db8:0:1:8000::1/128"), peer(4));
  EXPECT_EQ(table.find(address("2001:db8::")), peer(1));
  EXPECT_EQ(table.find(address("2001:db8:0:1:7fff::")), peer(2));
  EXPECT_EQ(table.find(address("2001:db8:0:1:8000::")), peer(3));
  EXPECT_EQ(table.find(address("2001:db8:0:1:8000::1")), peer(4));
}

TEST(PrefixTable, ignores_host_bits) {
  PrefixTable table;
  table.insert(prefix("10.0.0.99/24"), peer(1));
  EXPECT_EQ(table.find(address("10.0.0.1")), peer(1));
  EXPECT_EQ(table.insert(prefix("10.0.0.1/24"), peer(2)), peer(1));
  EXPECT_EQ(entries_of(table), (Entries{{"10.0.0.0/24", 2}}));
  EXPECT_TRUE(table.remove(prefix("10.0.0.7/24"), peer(2)));
}

TEST(PrefixTable, moves_a_prefix_and_names_its_former_peer) {
  PrefixTable table;
  EXPECT_EQ(table.insert(prefix("10.0.0.0/24"), peer(0)), std::nullopt);
  EXPECT_EQ(table.insert(prefix("10.0.0.0/24"), peer(5)), peer(0));
  EXPECT_EQ(table.insert(prefix("10.0.0.0/24"), peer(5)), std::nullopt);
  EXPECT_EQ(table.size(), 1U);
  EXPECT_EQ(table.find(address("10.0.0.1")), peer(5));
}

TEST(PrefixTable, gives_a_joining_node_to_the_peer_who_asks_for_it) {
  PrefixTable table;
  table.insert(prefix("10.0.0.0/25"), peer(1));
  table.insert(prefix("10.0.0.128/25"), peer(2));
  EXPECT_EQ(table.insert(prefix("10.0.0.0/24"), peer(3)), std::nullopt);
  EXPECT_EQ(table.size(), 3U);
  EXPECT_TRUE(table.remove(prefix("10.0.0.0/25"), peer(1)));
  EXPECT_EQ(table.find(address("10.0.0.1")), peer(3));
}

TEST(PrefixTable, removes_only_this_very_prefix_of_this_very_peer) {
  PrefixTable table;
  table.insert(prefix("10.0.0.0/24"), peer(1));
  EXPECT_FALSE(table.remove(prefix("10.0.0.0/24"), peer(2)));
  EXPECT_FALSE(table.remove(prefix("10.0.0.0/23"), peer(1)));
  EXPECT_FALSE(table.remove(prefix("10.0.0.0/25"), peer(1)));
  EXPECT_FALSE(table.remove(prefix("10.0.1.0/24"), peer(1)));
  EXPECT_FALSE(table.remove(prefix("a00::/24"), peer(1)));
  EXPECT_EQ(table.find(address("10.0.0.1")), peer(1));
  EXPECT_TRUE(table.remove(prefix("10.0.0.0/24"), peer(1)));
  EXPECT_FALSE(table.remove(prefix("10.0.0.0/24"), peer(1)));
  EXPECT_EQ(table.find(address("10.0.0.1")), std::nullopt);
  EXPECT_EQ(table.size(), 0U);
}

TEST(PrefixTable, removes_all_prefixes_of_one_peer_and_no_others) {
  PrefixTable table;
  for (const auto* text : {"10.0.0.0/8", "10.0.0.0/24", "10.0.0.4/32", "fd00::/8"}) table.insert(prefix(text), peer(1));
  for (const auto* text : {"10.0.0.0/16", "10.0.0.5/32", "fd00::1/128"}) table.insert(prefix(text), peer(2));
  table.remove_all(peer(1));
  EXPECT_EQ(entries_of(table), (Entries{{"10.0.0.0/16", 2}, {"10.0.0.5/32", 2}, {"fd00::1/128", 2}}));
  EXPECT_EQ(table.size(), 3U);
  table.remove_all(peer(3));
  EXPECT_EQ(table.size(), 3U);
}

TEST(PrefixTable, removes_all_prefixes_of_several_peers_in_one_pass) {
  PrefixTable table;
  for (std::uint32_t i = 0; i < 4; ++i) {
    table.insert(prefix("10.0.0." + std::to_string(i)), peer(i));
    table.insert(prefix("fd00::" + std::to_string(i)), peer(i));
  }
  table.remove_all(std::vector{false, true, true});
  EXPECT_EQ(entries_of(table),
            (Entries{{"10.0.0.0/32", 0}, {"10.0.0.3/32", 3}, {"fd00::/128", 0}, {"fd00::3/128", 3}}));
  EXPECT_EQ(table.size(), 4U);
}

TEST(PrefixTable, does_not_grow_while_prefixes_come_and_go) {
  for (const bool at_once : {false, true}) {
    PrefixTable table;
    table.insert(prefix("10.0.0.0/8"), peer(1));
    table.insert(prefix("fd00::/8"), peer(1));
    for (unsigned i = 0; i < 200; ++i) {
      const std::string number = std::to_string(i);
      const std::array guests{prefix("10." + number + ".0.1/32"), prefix("10." + number + ".0.2/32"),
                              prefix("fd00:" + number + "::1/128"), prefix("fd00:" + number + "::2/128")};
      for (const Prefix& guest : guests) table.insert(guest, peer(2));
      if (at_once) {
        table.remove_all(peer(2));
      } else {
        for (const Prefix& guest : guests) ASSERT_TRUE(table.remove(guest, peer(2)));
      }
    }
    EXPECT_EQ(table.size(), 2U);
    EXPECT_LT(table.node_count(), 2 * 6U);
  }
}

TEST(PrefixTable, visits_ipv4_first_then_by_address_then_by_length) {
  PrefixTable table;
  for (const auto* text : {"fd00::/8", "::/0", "10.0.0.0/9", "10.128.0.0/9", "10.0.0.0/8", "0.0.0.0/0", "10.0.0.0/32",
                           "9.255.255.255/32"}) {
    table.insert(prefix(text), peer(7));
  }
  EXPECT_EQ(entries_of(table), (Entries{{"0.0.0.0/0", 7},
                                        {"9.255.255.255/32", 7},
                                        {"10.0.0.0/8", 7},
                                        {"10.0.0.0/9", 7},
                                        {"10.0.0.0/32", 7},
                                        {"10.128.0.0/9", 7},
                                        {"::/0", 7},
                                        {"fd00::/8", 7}}));
}

/// Holds the same as the table in the plainest way.
class Model {
 public:
  std::optional<PeerId> insert(const Prefix& p, PeerId id) {
    const auto [at, is_new] = owners_.try_emplace(p.masked(), id);
    const PeerId previous = std::exchange(at->second, id);
    return is_new || previous == id ? std::nullopt : std::optional(previous);
  }
  bool remove(const Prefix& p, PeerId id) {
    const auto at = owners_.find(p.masked());
    if (at == owners_.end() || at->second != id) return false;
    owners_.erase(at);
    return true;
  }
  void remove_all(PeerId id) {
    std::erase_if(owners_, [&](const auto& row) { return row.second == id; });
  }
  std::optional<PeerId> find(const Address& a) const {
    std::optional<PeerId> best;
    int length = -1;
    for (const auto& [p, id] : owners_) {
      if (p.contains(a) && int{p.length} > length) {
        best = id;
        length = p.length;
      }
    }
    return best;
  }
  Entries entries() const {
    Entries entries;
    for (const auto& [p, id] : owners_) entries.emplace_back(p.to_string(), id.value());
    return entries;
  }

 private:
  std::map<Prefix, PeerId> owners_;
};

/// Few distinct bits, so that prefixes nest, collide and split each other often.
Prefix dense_prefix(Random& random) {
  std::array<std::byte, 16> bytes{};
  const bool is_v4 = random.next_u32() % 2 == 0;
  bytes[0] = static_cast<std::byte>(random.next_u32() & 0xc1);
  bytes[is_v4 ? 3 : 8] = static_cast<std::byte>(random.next_u32() & 0x83);
  bytes[is_v4 ? 3 : 15] |= static_cast<std::byte>(random.next_u32() & 3);
  const Family family = is_v4 ? Family::V4 : Family::V6;
  return {Address::from_bytes(family, bytes), static_cast<std::uint8_t>(random.next_u32() % (is_v4 ? 33 : 129))};
}

TEST(PrefixTable, agrees_with_a_plain_list_through_random_changes) {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    PrefixTable table;
    Model model;
    for (int step = 0; step < 1500; ++step) {
      const Prefix p = dense_prefix(random);
      const PeerId id = peer(random.next_u32() % 6);
      switch (random.next_u32() % 16) {
        default:
          ASSERT_EQ(table.insert(p, id), model.insert(p, id));
          break;
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
        case 5:
        case 6:
          ASSERT_EQ(table.remove(p, id), model.remove(p, id));
          break;
        case 7:
          if (random.next_u32() % 8 == 0) {
            table.remove_all(id);
            model.remove_all(id);
          }
          break;
      }
      const Address a = dense_prefix(random).address;
      ASSERT_EQ(table.find(a), model.find(a)) << a.to_string();
      if (step % 50 == 0) {
        ASSERT_EQ(entries_of(table), model.entries());
        ASSERT_EQ(table.size(), model.entries().size());
      }
    }
  }
}

TEST(PrefixTable, takes_130_000_prefixes_of_thousands_of_peers_quickly) {
  const auto start = std::chrono::steady_clock::now();
  PrefixTable table;
  std::array<std::byte, 16> bytes{};
  const auto numbered = [&](std::uint32_t i, Family family) {
    store<Be32>(bytes.data(), i * 2654435761U);
    return Address::from_bytes(family, bytes);
  };
  for (std::uint32_t i = 0; i < 130560; ++i) {
    const Family family = i % 2 == 0 ? Family::V4 : Family::V6;
    table.insert({numbered(i, family), static_cast<std::uint8_t>(i % 2 == 0 ? 32 : 64)}, peer(i / 32));
  }
  EXPECT_EQ(table.size(), 130560U);
  for (std::uint32_t i = 0; i < 130560; ++i) {
    ASSERT_EQ(table.find(numbered(i, i % 2 == 0 ? Family::V4 : Family::V6)), peer(i / 32));
  }
  // Generous, because sanitizers and a busy machine take their share: quadratic behaviour takes minutes.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

}  // namespace
}  // namespace culvert
