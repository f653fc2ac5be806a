// Medians and spreads of figures.
#include "culvert/bench/result.hpp"

#include <algorithm>
#include <cassert>

namespace culvert {

double Figure::median() const {
  assert(!rounds.empty());
  std::vector<double> sorted = rounds;
  std::ranges::sort(sorted);
  const std::size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

double Figure::least() const {
  return *std::ranges::min_element(rounds);
}
double Figure::most() const {
  return *std::ranges::max_element(rounds);
}

bool Figure::is_wide() const {
  return most() - least() > median() / 2;
}

}  // namespace culvert
