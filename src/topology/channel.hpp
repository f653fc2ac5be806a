// The gap between two columns of boxes, in which lines change their height.
#pragma once

#include <cstddef>
#include <vector>

namespace culvert::topology {

/// A piece of a line within a channel: comes in at one height, leaves at another, each on the left or the right side.
struct Hop {
  double y1 = 0, y2 = 0;
  bool is_left1 = true, is_left2 = false;
  std::size_t track = 0;  ///< by assign_tracks(): 0 is the leftmost
};

/// Gives each hop a track so that no two overlap and few cross; returns how many tracks that takes. A hop at one height
/// from side to side needs none.
[[nodiscard]] std::size_t assign_tracks(std::vector<Hop>& hops);

}  // namespace culvert::topology
