// The box of one namespace in the drawing, and at which heights lines leave it.
#pragma once

#include <map>
#include <utility>

#include "drawing.hpp"

namespace culvert::topology {

/// A row of a card: a link, or peer number `peer` (from 1) of its tunnel; link 0 is the head.
struct RowName {
  std::uint32_t link = 0;
  std::size_t peer = 0;
  friend auto operator<=>(const RowName&, const RowName&) = default;
};

/// Its upper left corner is 0, 0.
struct Card {
  double width = 0, height = 0, head_height = 0;
  std::vector<Bracket> brackets;
  std::vector<Dot> dots;
  std::vector<Label> labels;
  std::map<RowName, double> rows;  ///< the height at which a row's lines end
};

/// Which of two links that could change places comes first: the one with the lesser height here, then the lesser index.
using Wishes = std::map<std::uint32_t, double>;

[[nodiscard]] double wanted_width(const Topology& topology, std::size_t space);
[[nodiscard]] Card card_of(const Topology& topology, std::size_t space, double width, const Wishes& wishes);

}  // namespace culvert::topology
