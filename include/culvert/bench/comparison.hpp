// What changed between two results of the benchmark, as far as noise lets it be told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "culvert/bench/result.hpp"

namespace culvert {

enum class ChangeVerdict : std::uint8_t {
  Same,     ///< one's median lies within the other's spread (are_alike)
  Better,   ///< the spreads are apart, and the medians by more than the threshold
  Worse,    ///< the same
  Unclear,  ///< anything else: spreads that overlap beside both medians, or a difference that is too small to matter
};
inline constexpr std::string_view to_string(ChangeVerdict verdict) noexcept {
  constexpr std::string_view words[] = {"same", "better", "worse", "unclear"};
  return words[static_cast<std::size_t>(verdict)];
}

/// Whether two figures agree within their spreads: the median of one lies between least and most of the other.
[[nodiscard]] bool are_alike(const Figure& one, const Figure& other);
/// Whether the spreads have a number in common.
[[nodiscard]] bool do_overlap(const Figure& one, const Figure& other);

/// The difference that counts unless told otherwise, as a share of the earlier median.
inline constexpr double usual_threshold = 0.05;

struct FigureChange {
  std::string name;
  Figure before, after;
  ChangeVerdict verdict = ChangeVerdict::Same;
  /// after's median ÷ before's − 1; infinite from 0 to something.
  [[nodiscard]] double change() const;
};

struct CellChange {
  CellKey key;
  std::vector<FigureChange> figures;  ///< those of both, the measure's first figure first; shares of time are left out
  bool is_limited_by_generator = false;  ///< in one of them or both
};

struct Comparison {
  double threshold = usual_threshold;
  std::vector<CellChange> cells;  ///< of both, in the order of their keys
  std::vector<CellKey> only_before, only_after;
  std::vector<std::string> differences;  ///< of machine, program and kind of run, for people

  /// Cells of both that have their first figure in both, and those of them whose first figures are alike.
  [[nodiscard]] std::size_t comparable() const;
  [[nodiscard]] std::size_t alike() const;
  /// Figures with this verdict.
  [[nodiscard]] std::size_t count(ChangeVerdict verdict) const;
};

[[nodiscard]] Comparison compare(const BenchResult& before, const BenchResult& after,
                                 double threshold = usual_threshold);

/// For a terminal: what is better and worse, what is in one of them only, and how many agree; 80 columns or somewhat
/// more. `names` are those of the two files.
[[nodiscard]] std::string to_text(const Comparison& comparison, const std::string& before, const std::string& after);
/// Schema in docs/bench.md.
[[nodiscard]] std::string to_json(const Comparison& comparison);

}  // namespace culvert
