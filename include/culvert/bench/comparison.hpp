// What changed between two results of the benchmark, as far as noise lets it be told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "culvert/bench/result.hpp"

namespace culvert {

enum class ChangeVerdict : std::uint8_t {
  Same,     ///< one's median lies within the other's spread (are_alike)
  Better,   ///< the spreads are apart, and the medians by more than the threshold, of rounds_min rounds each
  Worse,    ///< the same
  Unclear,  ///< anything else; and what would be same or better, of fewer than half the rounds that there were before
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
/// Of fewer rounds the spread tells nothing of the noise.
inline constexpr std::size_t rounds_min = 5;

struct FigureChange {
  std::string name;
  Figure before, after;
  ChangeVerdict verdict = ChangeVerdict::Same;
  /// after's median ÷ before's − 1; infinite from 0 to something.
  [[nodiscard]] double change() const;
  [[nodiscard]] bool has_few_rounds() const;  ///< in one of them or both
};

struct CellChange {
  CellKey key;
  std::vector<FigureChange> figures;  ///< those of both, the measure's first figure first; shares of time are left out
  bool is_limited_by_generator = false;  ///< in one of them or both
  /// What a build may fail for: the first figure, of a tunnel, not limited by the load generator, of enough rounds.
  /// Null if there is none.
  [[nodiscard]] const FigureChange* first_that_counts() const;
};

/// What speaks for a change to the worse.
struct Alarm {
  std::size_t counted = 0;     ///< cells with a first figure that counts
  std::size_t worse = 0;       ///< of these
  std::size_t chance = 0;      ///< as many of these are worse by chance in 99 of 100 comparisons of the same thing
  std::size_t much_worse = 0;  ///< by more than thrice the threshold, with more than it between the spreads
  std::size_t lost = 0;        ///< cells of tunnels that are not there any more
  [[nodiscard]] bool is_raised() const { return lost != 0 || much_worse != 0 || worse > chance; }
};

/// The 99 % quantile of how many of so many figures are taken for worse though nothing has changed: of five rounds
/// before and five after all later ones are the worst in one of 252 orders.
[[nodiscard]] std::size_t worse_by_chance(std::size_t figures);

struct Comparison {
  double threshold = usual_threshold;
  std::vector<CellChange> cells;  ///< of both, in the order of their keys
  std::vector<CellKey> lost;      ///< those that the earlier has and the later has not, or not the first figure of
  std::vector<CellKey> only_after;
  std::vector<std::string> differences;  ///< of machine, program and kind of run, for people

  /// Cells of both that have their first figure in both, and those of them whose first figures are alike.
  [[nodiscard]] std::size_t comparable() const;
  [[nodiscard]] std::size_t alike() const;
  /// Figures with this verdict.
  [[nodiscard]] std::size_t count(ChangeVerdict verdict) const;
  [[nodiscard]] Alarm alarm() const;
};

[[nodiscard]] Comparison compare(const BenchResult& before, const BenchResult& after,
                                 double threshold = usual_threshold);

/// For a terminal: whether something is worse and why, what is worse, better and lost, and how many agree; 80 columns
/// or somewhat more. `names` are those of the two files.
[[nodiscard]] std::string to_text(const Comparison& comparison, const std::string& before, const std::string& after);
/// Schema in docs/bench.md.
[[nodiscard]] std::string to_json(const Comparison& comparison);

}  // namespace culvert
