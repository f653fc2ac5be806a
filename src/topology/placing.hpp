// In which column of the drawing each box stands, and above which others.
#pragma once

#include <cstddef>
#include <vector>

namespace culvert::topology {

/// A line to be drawn between two boxes, and how far below their upper edges it ends.
struct Run {
  std::size_t from = 0, to = 0;
  double from_offset = 0, to_offset = 0;
};

struct BoxSize {
  double width = 0, height = 0;
};

/// Boxes by column, from the top; each box once, no column empty.
using Columns = std::vector<std::vector<std::size_t>>;

inline constexpr double box_gap = 34;

/// Keeps lines short, crossings few and the whole of a shape that fits a screen. The same for the same input.
[[nodiscard]] Columns place(const std::vector<BoxSize>& boxes, const std::vector<Run>& runs);

}  // namespace culvert::topology
