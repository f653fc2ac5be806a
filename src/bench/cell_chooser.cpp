// The usual before the odd.
#include "cell_chooser.hpp"

#include <cstdint>
#include <tuple>
#include <utility>

#include "culvert/bench/figure_text.hpp"

namespace culvert {
namespace {

constexpr std::uint32_t usual_mtu = 1420;

/// The less, the more usual.
auto oddity(const CellKey& key) {
  const std::uint32_t size =
      is_tcp(key.measure) ? (key.packet_size > usual_mtu ? key.packet_size - usual_mtu : usual_mtu - key.packet_size)
                          : key.packet_size;
  return std::make_tuple(key.cipher != usual_cipher, key.cipher == "none", key.offloads != OffloadRung::On, size,
                         key.streams, key.queues);
}

}  // namespace

bool is_tcp(Measure measure) {
  return first_figure(measure) == "throughput";
}

const Figure* figure_of(const Cell& cell, std::string_view name) {
  const auto found = cell.figures.find(std::string(name));
  return found == cell.figures.end() || found->second.rounds.empty() ? nullptr : &found->second;
}

bool is_more_usual(const CellKey& one, const CellKey& other) {
  return oddity(one) < oddity(other);
}

CellChooser::CellChooser(const BenchResult& result) : result_(result) {
  for (const Cell& cell : result.cells) by_key_.emplace(cell.key, &cell);
}

ViewPoint CellChooser::point(CellKey key, BenchMode mode, std::string_view figure) const {
  key.mode = mode;
  const Cell* cell = nullptr;
  if (mode == BenchMode::Uplink) {
    for (const Cell& other : result_.cells) {
      if (other.key.mode != mode || other.key.measure != key.measure || other.key.streams != key.streams) continue;
      const bool is_same_size = other.key.packet_size == key.packet_size;
      // Its TCP may use the largest packets that it carries, whatever the tunnels' MTU.
      if (is_same_size || (is_tcp(key.measure) && cell == nullptr)) cell = &other;
    }
  } else if (const auto found = by_key_.find(key); found != by_key_.end()) {
    cell = found->second;
  }
  const Figure* const number = cell == nullptr ? nullptr : figure_of(*cell, figure);
  return number == nullptr ? ViewPoint{} : ViewPoint{cell, number};
}

std::optional<CellKey> CellChooser::usual(Measure measure, std::string_view figure) const {
  std::optional<CellKey> best;
  const auto rank = [&](const CellKey& key) {
    const bool is_in_both =
        point(key, BenchMode::Tun, figure).cell != nullptr && point(key, BenchMode::Tap, figure).cell != nullptr;
    return std::make_pair(!is_in_both, oddity(key));
  };
  for (const Cell& cell : result_.cells) {
    if (cell.key.measure != measure || cell.key.mode == BenchMode::Uplink || !figure_of(cell, figure)) continue;
    if (!best || rank(cell.key) < rank(*best)) best = cell.key;
  }
  return best;
}

}  // namespace culvert
