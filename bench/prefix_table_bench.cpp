// How long finding the peer of an address takes, by size of the table and family.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <vector>

#include "culvert/base/endian.hpp"
#include "culvert/forwarding/prefix_table.hpp"

namespace {

using culvert::Address;
using culvert::Family;

/// Equal numbers give equal addresses, neighbouring ones addresses far apart (Fibonacci hashing).
Address scattered_address(Family family, std::uint32_t number) {
  std::array<std::byte, 16> bytes{};
  std::byte* low = bytes.data();
  if (family == Family::V6) {
    bytes[0] = std::byte{0xfd};
    low += 4;
  }
  culvert::store<culvert::Be32>(low, number * 2654435761U);
  return Address::from_bytes(family, bytes);
}

culvert::PrefixTable table_of(Family family, std::uint32_t prefixes) {
  culvert::PrefixTable table;
  const std::uint8_t length = family == Family::V4 ? 32 : 64;
  for (std::uint32_t i = 0; i < prefixes; ++i) table.insert({scattered_address(family, i), length}, culvert::PeerId(i));
  return table;
}

/// Every address is in the table; 4096 destinations in turn, as a busy server sees them.
void find_known(benchmark::State& state, Family family) {
  const auto prefixes = static_cast<std::uint32_t>(state.range(0));
  const culvert::PrefixTable table = table_of(family, prefixes);
  std::vector<Address> addresses;
  for (std::uint32_t i = 0; i < 4096; ++i) addresses.push_back(scattered_address(family, i * 31 % prefixes));
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table.find(addresses[next]));
    next = (next + 1) % addresses.size();
  }
}

void insert_all(benchmark::State& state, Family family) {
  const auto prefixes = static_cast<std::uint32_t>(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(table_of(family, prefixes));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK_CAPTURE(find_known, v4, Family::V4)->Arg(1)->Arg(1000)->Arg(130000);
BENCHMARK_CAPTURE(find_known, v6, Family::V6)->Arg(1)->Arg(1000)->Arg(130000);
BENCHMARK_CAPTURE(insert_all, v4, Family::V4)->Arg(130000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(insert_all, v6, Family::V6)->Arg(130000)->Unit(benchmark::kMillisecond);

}  // namespace
