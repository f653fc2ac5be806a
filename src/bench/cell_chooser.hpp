// Which cells of a result stand for a measure, and which are beside them.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "culvert/bench/view.hpp"

namespace culvert {

inline constexpr std::string_view usual_cipher = "chacha20-poly1305";

[[nodiscard]] bool is_tcp(Measure measure);
/// Null where nothing was measured.
[[nodiscard]] const Figure* figure_of(const Cell& cell, std::string_view name);
/// Whether one is more like what most people run than the other: such a cell stands for its measure where only one can.
[[nodiscard]] bool is_more_usual(const CellKey& one, const CellKey& other);

/// Looks into a result that outlives it.
class CellChooser {
 public:
  explicit CellChooser(const BenchResult& result);

  /// That cell of another mode. The bare uplink knows neither cipher nor offloads.
  [[nodiscard]] ViewPoint point(CellKey key, BenchMode mode, std::string_view figure) const;
  /// What stands for a measure: of tun and tap if they were measured alike, else of any tunnel.
  [[nodiscard]] std::optional<CellKey> usual(Measure measure, std::string_view figure) const;

  /// Values that a part of the key has among cells that are otherwise like `base`, whatever their mode.
  template <class Part>
  [[nodiscard]] std::vector<Part> values(const CellKey& base, Part CellKey::*part, std::string_view figure) const {
    std::set<Part> found;
    for (const Cell& cell : result_.cells) {
      if (cell.key.mode == BenchMode::Uplink || !figure_of(cell, figure)) continue;
      CellKey key = cell.key;
      key.mode = base.mode;
      key.*part = base.*part;
      if (key == base) found.insert(cell.key.*part);
    }
    return {found.begin(), found.end()};
  }

 private:
  const BenchResult& result_;
  std::map<CellKey, const Cell*> by_key_;
};

}  // namespace culvert
