// How long a switch takes to learn a station, and to find the port of one, by the number of stations.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <vector>

#include "culvert/forwarding/mac_table.hpp"

namespace {

using culvert::MacAddress;
using culvert::MacTable;
using culvert::PeerId;
using culvert::SwitchPort;
using culvert::Timestamp;

constexpr std::uint16_t vlan = 0;
const Timestamp now{std::chrono::hours(1)};

/// Locally administered, neighbouring numbers far apart.
MacAddress station(std::uint32_t number) {
  return MacAddress(0x020000000000 | (std::uint64_t{number} * 2654435761U & 0xffffffff));
}

MacTable table_of(std::uint32_t stations) {
  MacTable table({1, 2});
  table.reserve(1);
  for (std::uint32_t i = 0; i < stations; ++i) (void)table.learn(vlan, station(i), SwitchPort(PeerId(0)), now);
  return table;
}

void find(benchmark::State& state) {
  const auto stations = static_cast<std::uint32_t>(state.range(0));
  const MacTable table = table_of(stations);
  std::uint32_t next = 0;
  for (auto step : state) {
    benchmark::DoNotOptimize(table.find(vlan, station(next), now));
    next = (next + 1) % stations;
  }
}

void find_unknown(benchmark::State& state) {
  const MacTable table = table_of(static_cast<std::uint32_t>(state.range(0)));
  std::uint32_t next = 1U << 20;
  for (auto step : state) benchmark::DoNotOptimize(table.find(vlan, station(next++), now));
}

/// What each arriving frame does: its source is known already.
void learn_again(benchmark::State& state) {
  const auto stations = static_cast<std::uint32_t>(state.range(0));
  MacTable table = table_of(stations);
  std::uint32_t next = 0;
  for (auto step : state) {
    benchmark::DoNotOptimize(table.learn(vlan, station(next), SwitchPort(PeerId(0)), now));
    next = (next + 1) % stations;
  }
}

BENCHMARK(find)->Arg(1)->Arg(100)->Arg(2000);
BENCHMARK(find_unknown)->Arg(2000);
BENCHMARK(learn_again)->Arg(1)->Arg(100)->Arg(2000);

}  // namespace
