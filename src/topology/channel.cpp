// Tracks for the lines between two columns.
#include "channel.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace culvert::topology {

namespace {

constexpr double apart = 8;

bool is_straight(const Hop& hop) {
  return hop.y1 == hop.y2 && hop.is_left1 != hop.is_left2;
}

bool is_crossed(const Hop& hop, double y) {
  return std::min(hop.y1, hop.y2) < y && y < std::max(hop.y1, hop.y2);
}

/// How often two cross if `left` has a track left of `right`'s.
int crossings(const Hop& left, const Hop& right) {
  int count = 0;
  if (!left.is_left1) count += is_crossed(right, left.y1);
  if (!left.is_left2) count += is_crossed(right, left.y2);
  if (right.is_left1) count += is_crossed(left, right.y1);
  if (right.is_left2) count += is_crossed(left, right.y2);
  return count;
}

bool is_near(const Hop& a, const Hop& b) {
  return std::min(a.y1, a.y2) < std::max(b.y1, b.y2) + apart && std::min(b.y1, b.y2) < std::max(a.y1, a.y2) + apart;
}

/// Neighbours change places as long as that takes crossings away.
void untangle(std::vector<Hop*>& order) {
  constexpr int rounds = 60;
  bool is_better = true;
  for (int round = 0; round < rounds && is_better; ++round) {
    is_better = false;
    for (std::size_t i = 0; i + 1 < order.size(); ++i) {
      // Past those with which it makes no difference.
      int gain = 0;
      for (std::size_t j = i + 1; j < order.size(); ++j) {
        gain += crossings(*order[i], *order[j]) - crossings(*order[j], *order[i]);
        if (gain <= 0) continue;
        const auto from = order.begin() + static_cast<std::ptrdiff_t>(i);
        std::rotate(from, from + 1, order.begin() + static_cast<std::ptrdiff_t>(j) + 1);
        is_better = true;
        break;
      }
    }
  }
}

}  // namespace

std::size_t assign_tracks(std::vector<Hop>& hops) {
  std::vector<Hop*> order;
  for (Hop& hop : hops) {
    if (!is_straight(hop)) order.push_back(&hop);
  }
  // Those that go down and begin high want to be right of those that begin low; those that go up the other way round.
  std::ranges::stable_sort(order, {}, [](const Hop* hop) { return hop->y2 > hop->y1 ? -hop->y1 : hop->y1; });
  untangle(order);
  std::size_t track = 0;
  std::vector<const Hop*> on_track;
  for (Hop* const hop : order) {
    if (std::ranges::any_of(on_track, [&](const Hop* other) { return is_near(*hop, *other); })) {
      ++track;
      on_track.clear();
    }
    on_track.push_back(hop);
    hop->track = track;
  }
  return order.empty() ? 0 : track + 1;
}

}  // namespace culvert::topology
