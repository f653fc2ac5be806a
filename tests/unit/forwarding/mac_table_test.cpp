// Learning where stations are: ageing, moves, who may push out whom, and agreement with a plain map.
#include "culvert/forwarding/mac_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "support/seeded_random.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

constexpr SwitchPort local;
SwitchPort peer(std::uint32_t number) {
  return PeerId(number);
}
MacAddress station(std::uint64_t number) {
  return MacAddress(0x020000000000 + number);
}
Timestamp at(std::chrono::nanoseconds time) {
  return Timestamp(1h + time);
}

MacTable table_for(std::size_t peers) {
  MacTable table({1, 2});
  table.reserve(peers);
  return table;
}

TEST(MacTable, finds_a_station_on_the_port_where_it_was_heard) {
  MacTable table = table_for(2);
  EXPECT_EQ(table.find(0, station(1), at(0s)), std::nullopt);
  EXPECT_TRUE(table.learn(0, station(1), peer(0), at(0s)));
  EXPECT_TRUE(table.learn(0, station(2), local, at(0s)));
  EXPECT_EQ(table.find(0, station(1), at(1s)), peer(0));
  EXPECT_EQ(table.find(0, station(2), at(1s)), local);
  EXPECT_EQ(table.size(), 2U);
}

TEST(MacTable, knows_a_station_in_each_vlan_apart) {
  MacTable table = table_for(2);
  EXPECT_TRUE(table.learn(1, station(1), peer(0), at(0s)));
  EXPECT_TRUE(table.learn(2, station(1), peer(1), at(0s)));
  EXPECT_EQ(table.find(1, station(1), at(0s)), peer(0));
  EXPECT_EQ(table.find(2, station(1), at(0s)), peer(1));
  EXPECT_EQ(table.find(0, station(1), at(0s)), std::nullopt);
}

TEST(MacTable, forgets_a_station_that_is_not_heard_for_five_minutes) {
  MacTable table = table_for(1);
  EXPECT_TRUE(table.learn(0, station(1), peer(0), at(0s)));
  EXPECT_EQ(table.find(0, station(1), at(299s)), peer(0));
  EXPECT_EQ(table.find(0, station(1), at(300s)), std::nullopt);
  EXPECT_TRUE(table.learn(0, station(1), peer(0), at(200s)));
  EXPECT_EQ(table.find(0, station(1), at(499s)), peer(0));
  EXPECT_EQ(table.find(0, station(1), at(500s)), std::nullopt);
}

TEST(MacTable, follows_a_station_from_peer_to_peer_and_to_the_local_side) {
  MacTable table = table_for(2);
  EXPECT_TRUE(table.learn(0, station(1), peer(0), at(0s)));
  EXPECT_TRUE(table.learn(0, station(1), peer(1), at(0s)));
  EXPECT_EQ(table.find(0, station(1), at(0s)), peer(1));
  EXPECT_TRUE(table.learn(0, station(1), local, at(0s)));
  EXPECT_EQ(table.find(0, station(1), at(0s)), local);
  EXPECT_EQ(table.size(), 1U);
}

TEST(MacTable, gives_no_peer_what_the_local_side_has_until_that_is_silent_for_half_a_minute) {
  MacTable table = table_for(1);
  EXPECT_TRUE(table.learn(0, station(1), local, at(0s)));
  EXPECT_EQ(table.learn(0, station(1), peer(0), at(29s)).error(), DropReason::LocalAddress);
  EXPECT_EQ(table.find(0, station(1), at(29s)), local);
  EXPECT_TRUE(table.learn(0, station(1), local, at(29s)));
  EXPECT_EQ(table.learn(0, station(1), peer(0), at(58s)).error(), DropReason::LocalAddress);
  EXPECT_TRUE(table.learn(0, station(1), peer(0), at(59s)));
  EXPECT_EQ(table.find(0, station(1), at(59s)), peer(0));
  EXPECT_TRUE(table.learn(0, station(1), local, at(59s)));
  EXPECT_EQ(table.find(0, station(1), at(59s)), local) << "the local side takes it back at once";
}

TEST(MacTable, refuses_sources_that_no_station_has) {
  MacTable table = table_for(1);
  EXPECT_EQ(table.learn(0, MacAddress(), peer(0), at(0s)).error(), DropReason::SourceAddress);
  EXPECT_EQ(table.learn(0, MacAddress(0x010000000001), peer(0), at(0s)).error(), DropReason::SourceAddress);
  EXPECT_EQ(table.learn(0, MacAddress(0xffffffffffff), local, at(0s)).error(), DropReason::SourceAddress);
  EXPECT_EQ(table.size(), 0U);
}

TEST(MacTable, forgets_all_of_one_port_and_nothing_else) {
  MacTable table = table_for(2);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    EXPECT_TRUE(table.learn(0, station(i), i % 2 == 0 ? peer(0) : peer(1), at(0s)));
  }
  table.remove(peer(0));
  EXPECT_EQ(table.size(), 500U);
  EXPECT_EQ(table.size_of(peer(0)), 0U);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(table.find(0, station(i), at(0s)).has_value(), i % 2 == 1) << i;
  }
  table.remove(peer(77));  // Nobody.
  EXPECT_EQ(table.size(), 500U);
}

TEST(MacTable, forgets_everything) {
  MacTable table = table_for(1);
  for (std::uint64_t i = 0; i < 100; ++i) EXPECT_TRUE(table.learn(0, station(i), i % 2 == 0 ? peer(0) : local, at(0s)));
  table.clear();
  EXPECT_EQ(table.size(), 0U);
  EXPECT_EQ(table.find(0, station(1), at(0s)), std::nullopt);
  for (std::uint64_t i = 0; i < 2 * MacTable::capacity; ++i) EXPECT_TRUE(table.learn(0, station(i), local, at(0s)));
  EXPECT_EQ(table.size(), MacTable::half);
}

TEST(MacTable, is_bounded_and_a_peer_replaces_its_own_oldest) {
  MacTable table = table_for(1);
  for (std::uint64_t i = 0; i < 3 * MacTable::capacity; ++i) {
    EXPECT_TRUE(table.learn(0, station(i), peer(0), at(std::chrono::milliseconds(i))));
    ASSERT_LE(table.size(), MacTable::half);
  }
  EXPECT_EQ(table.size(), MacTable::half);
  const Timestamp now = at(25s);
  EXPECT_EQ(table.find(0, station(3 * MacTable::capacity - 1), now), peer(0));
  EXPECT_EQ(table.find(0, station(0), now), std::nullopt);
}

TEST(MacTable, lets_no_peer_push_out_local_stations) {
  MacTable table = table_for(1);
  for (std::uint64_t i = 0; i < MacTable::half; ++i) EXPECT_TRUE(table.learn(0, station(i), local, at(0s)));
  for (std::uint64_t i = 0; i < 2 * MacTable::capacity; ++i) {
    EXPECT_TRUE(table.learn(7, station(i), peer(0), at(1s)));
  }
  for (std::uint64_t i = 0; i < MacTable::half; ++i) ASSERT_EQ(table.find(0, station(i), at(2s)), local) << i;
  EXPECT_EQ(table.size(), MacTable::capacity);
}

TEST(MacTable, lets_no_local_flood_push_out_peers_stations) {
  MacTable table = table_for(1);
  EXPECT_TRUE(table.learn(7, station(1), peer(0), at(0s)));
  for (std::uint64_t i = 0; i < 2 * MacTable::capacity; ++i) EXPECT_TRUE(table.learn(0, station(i), local, at(1s)));
  EXPECT_EQ(table.find(7, station(1), at(2s)), peer(0));
  EXPECT_EQ(table.size(), MacTable::half + 1);
}

TEST(MacTable, gives_each_peer_a_share_of_what_one_has_taken_whole) {
  MacTable table = table_for(3);
  for (std::uint64_t i = 0; i < MacTable::capacity; ++i) EXPECT_TRUE(table.learn(0, station(i), peer(0), at(0s)));
  for (std::uint64_t i = 0; i < 1000; ++i) {
    EXPECT_TRUE(table.learn(1, station(i), peer(1), at(1s)));
    EXPECT_TRUE(table.learn(2, station(i), peer(2), at(1s)));
  }
  // The greedy one goes on, and gets nothing back that is theirs.
  for (std::uint64_t i = 0; i < MacTable::capacity; ++i) EXPECT_TRUE(table.learn(3, station(i), peer(0), at(2s)));
  EXPECT_EQ(table.size_of(peer(1)), 1000U);
  EXPECT_EQ(table.size_of(peer(2)), 1000U);
  EXPECT_EQ(table.size_of(peer(0)), MacTable::half - 2000);
}

TEST(MacTable, takes_the_places_of_stations_that_are_too_old_first) {
  MacTable table = table_for(2);
  for (std::uint64_t i = 0; i < MacTable::half / 2; ++i) EXPECT_TRUE(table.learn(0, station(i), peer(0), at(0s)));
  for (std::uint64_t i = 0; i < MacTable::half / 2; ++i) EXPECT_TRUE(table.learn(1, station(i), peer(1), at(299s)));
  for (std::uint64_t i = 0; i < MacTable::half / 2; ++i) EXPECT_TRUE(table.learn(2, station(i), peer(1), at(301s)));
  EXPECT_EQ(table.size_of(peer(0)), 0U);
  EXPECT_EQ(table.size_of(peer(1)), MacTable::half);
}

TEST(MacTable, visits_all_that_is_not_too_old) {
  MacTable table = table_for(1);
  EXPECT_TRUE(table.learn(5, station(1), peer(0), at(0s)));
  EXPECT_TRUE(table.learn(0, station(2), local, at(10s)));
  std::map<std::uint64_t, MacTable::Entry> seen;
  table.for_each(at(305s), [&](const MacTable::Entry& entry) { seen.emplace(entry.address.value(), entry); });
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen.begin()->second.port, local);
  seen.clear();
  table.for_each(at(200s), [&](const MacTable::Entry& entry) { seen.emplace(entry.address.value(), entry); });
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen.begin()->second.vlan, 5);
  EXPECT_EQ(seen.begin()->second.port, peer(0));
  EXPECT_EQ(seen.begin()->second.seen, at(0s));
}

/// Below the bounds the table is a map with two rules: peers take nothing from the local side, and the old is gone.
TEST(MacTable, agrees_with_a_plain_map) {
  SeededRandom random(5);
  MacTable table = table_for(4);
  std::map<std::pair<std::uint16_t, std::uint64_t>, std::pair<SwitchPort, Timestamp>> model;
  Timestamp now = at(0s);
  for (int step = 0; step < 20'000; ++step) {
    now += std::chrono::milliseconds(random.next_u32() % 400);
    const auto vlan = static_cast<std::uint16_t>(random.next_u32() % 3);
    const MacAddress address = station(random.next_u32() % 300);
    const std::uint32_t number = random.next_u32() % 5;
    const SwitchPort port = number == 4 ? local : peer(number);
    const auto found = model.find({vlan, address.value()});
    const bool is_alive = found != model.end() && now - found->second.second < MacTable::max_age;
    ASSERT_EQ(table.find(vlan, address, now), is_alive ? std::optional(found->second.first) : std::nullopt);
    if (random.next_u32() % 500 == 0) {
      table.remove(port);
      std::erase_if(model, [&](const auto& entry) { return entry.second.first == port; });
      continue;
    }
    const bool is_theirs =
        is_alive && found->second.first == local && port != local && now - found->second.second < MacTable::local_time;
    ASSERT_EQ(table.learn(vlan, address, port, now).has_value(), !is_theirs);
    if (is_theirs) continue;
    // Refreshed a second later at the earliest.
    if (is_alive && found->second.first == port && now - found->second.second < 1s) continue;
    model[{vlan, address.value()}] = {port, now};
  }
}

}  // namespace
}  // namespace culvert
