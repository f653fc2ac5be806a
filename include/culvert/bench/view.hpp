// What is shown of a benchmark's result, on a terminal as on a page: which cells beside which.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "culvert/bench/figure_text.hpp"
#include "culvert/bench/result.hpp"

namespace culvert {

/// One figure of one cell; both are null where nothing was measured.
struct ViewPoint {
  const Cell* cell = nullptr;
  const Figure* figure = nullptr;
};

/// A picture, or a table: numbers of one kind, rows of things that differ by columns of modes.
struct View {
  enum class Shape : std::uint8_t {
    Lines,   ///< rows lie along an axis: sizes of packets
    Bars,    ///< rows are groups
    Stacked  ///< rows are parts of one whole, for each mode
  };
  std::string id;     ///< letters, digits and dashes, no two alike
  std::string topic;  ///< the heading that it and its neighbours stand under
  std::string title;
  std::string about;  ///< what all its cells have in common
  Shape shape = Shape::Bars;
  FigureKind kind;
  bool is_logarithmic = false;
  std::string row_name;  ///< what rows are: "packet size"
  std::vector<std::string> rows;
  std::vector<BenchMode> columns;
  std::vector<std::vector<ViewPoint>> points;  ///< by row, then by column

  /// What all its numbers are shown in.
  [[nodiscard]] Scale scale() const;
};

/// One number of tun and of tap that were measured alike.
struct Duel {
  std::string name;  ///< "throughput"
  FigureKind kind;
  ViewPoint tun, tap;
  std::string about;  ///< what is compared: "TCP, 1 stream, 1420 bytes"

  /// Their spreads have a number in common.
  [[nodiscard]] bool is_even() const;
  /// They have because one is too wide to trust: who is ahead cannot be told.
  [[nodiscard]] bool is_noisy() const;
  /// The better one; requires !is_even().
  [[nodiscard]] BenchMode winner() const;
  /// By how much the winner's median differs from the other's, as a share of that.
  [[nodiscard]] double lead() const;
};

/// What a tunnel that there is no other beside does, in one line.
struct Summary {
  std::string name;  ///< "throughput"
  FigureKind kind;
  std::vector<std::pair<std::string, ViewPoint>> points;  ///< one at least, by what tells them apart: "up", "down"
  std::string about;
};

/// A topic of which there is nothing to show.
struct MissingTopic {
  std::string topic;
  std::string why;
};

/// What a result shows. It points into the result, which outlives it, and into itself: it may be moved, not copied.
struct Views {
  Views() = default;
  Views(Views&&) = default;
  Views& operator=(Views&&) = default;

  bool is_of_one_tunnel = false;  ///< to a peer: nothing to choose between
  std::vector<Summary> summary;   ///< of that: throughput, packet rate, round trip; those that were measured
  std::vector<Duel> duels;        ///< throughput, packet rate, round trip, processor time; those that both modes have
  std::vector<View> views;        ///< in the order in which they are shown; each has a point at least
  std::vector<MissingTopic> missing;
  std::list<Figure> derived;  ///< what is computed from the result's figures
};

[[nodiscard]] Views views_of(const BenchResult& result);

/// The answer to "tun or tap?": who is ahead in what, with `has_leads` by how much, in what they are even, and what
/// noise hides.
[[nodiscard]] std::string verdict_of(const Views& views, bool has_leads = true);

/// The run and the machine, by name and value, safe to show.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> facts_about(const BenchResult& result);

/// The signs that footnotes explain: "†" where the generator was the limit, "‡" where the spread is too wide; or both.
[[nodiscard]] std::string signs_of(const ViewPoint& point);
inline constexpr const char* limited_note =
    "† The load generator was the limit, not the tunnel: beyond this rate its sender or sink failed, or this TCP is "
    "within 10 % of the bare uplink's, measured alike.";
inline constexpr const char* wide_note = "‡ The spread is more than half of the median: too wide to trust.";

}  // namespace culvert
