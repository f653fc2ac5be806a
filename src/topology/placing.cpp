// Finding a good place for each box by trying: moves of one box that make the drawing better are kept until there is
// none.
#include "placing.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace culvert::topology {

namespace {

constexpr std::size_t most_columns = 6;
constexpr double channel_guess = 110;
constexpr double wanted_shape = 1.5;  // width by height
constexpr double price_of_crossing = 90;
constexpr double price_of_skipping = 420;  // for each column that a line has to get past
constexpr double price_of_same_column = 130;
constexpr double price_of_size = 2.2;
// Steps of the evaluation below; less than a second.
constexpr double patience = 6e7;

class Search {
 public:
  Search(const std::vector<BoxSize>& boxes, const std::vector<Run>& runs)
      : boxes_(boxes), runs_(runs), column_(boxes.size()), top_(boxes.size()) {
    const double lines = static_cast<double>(runs.size());
    counts_crossings_ = boxes.size() <= 60 && runs.size() <= 400;
    price_of_trying_ = static_cast<double>(boxes.size()) + lines + (counts_crossings_ ? lines * lines / 2 : 0) + 1;
  }

  Columns find() {
    const std::vector<std::size_t> order = from_hub();
    Columns best;
    double best_cost = std::numeric_limits<double>::infinity();
    const std::size_t widest = std::min({most_columns, boxes_.size(), std::size_t{1} + boxes_.size() / 2 + 1});
    const double share = patience / static_cast<double>(widest);
    for (std::size_t count = 1; count <= widest; ++count) {
      Columns columns = begun(order, count);
      const double cost = improve(columns, share);
      if (cost < best_cost) {
        best_cost = cost;
        best = std::move(columns);
      }
    }
    std::erase_if(best, [](const auto& column) { return column.empty(); });
    return best;
  }

 private:
  /// Boxes with the most lines first, each followed by those it is joined to.
  [[nodiscard]] std::vector<std::size_t> from_hub() const {
    std::vector<std::vector<std::size_t>> near(boxes_.size());
    for (const Run& run : runs_) {
      if (run.from == run.to) continue;
      near[run.from].push_back(run.to);
      near[run.to].push_back(run.from);
    }
    std::vector<std::size_t> hubs(boxes_.size());
    std::iota(hubs.begin(), hubs.end(), std::size_t{0});
    std::ranges::stable_sort(hubs, std::greater<>{}, [&](std::size_t box) { return near[box].size(); });
    std::vector<std::size_t> order;
    std::vector<bool> is_taken(boxes_.size(), false);
    const auto take = [&](std::size_t box) {
      if (!is_taken[box]) order.push_back(box);
      is_taken[box] = true;
    };
    for (const std::size_t hub : hubs) {
      for (std::size_t next = (take(hub), order.size() - 1); next < order.size(); ++next) {
        for (const std::size_t box : near[order[next]]) take(box);
      }
    }
    return order;
  }

  [[nodiscard]] Columns begun(const std::vector<std::size_t>& order, std::size_t count) const {
    Columns columns(count);
    std::vector<double> heights(count, 0);
    std::size_t chosen = count / 2;
    for (const std::size_t box : order) {
      columns[chosen].push_back(box);
      heights[chosen] += boxes_[box].height + box_gap;
      chosen = static_cast<std::size_t>(std::ranges::min_element(heights) - heights.begin());
    }
    return columns;
  }

  double improve(Columns& columns, double steps) {
    double cost = cost_of(columns);
    for (bool is_better = true; is_better && steps > 0;) {
      is_better = false;
      for (std::size_t box = 0; box < boxes_.size() && steps > 0; ++box) {
        is_better |= move(columns, box, cost, steps);
        is_better |= swap(columns, box, cost, steps);
      }
    }
    return cost;
  }

  double try_out(const Columns& columns, double& steps) {
    steps -= price_of_trying_;
    return cost_of(columns);
  }

  static void take_out(Columns& columns, std::size_t box) {
    for (auto& column : columns) std::erase(column, box);
  }

  bool move(Columns& columns, std::size_t box, double& cost, double& steps) {
    Columns best;
    Columns tried = columns;
    take_out(tried, box);
    for (std::size_t to = 0; to < tried.size(); ++to) {
      for (std::size_t at = 0; at <= tried[to].size() && steps > 0; ++at) {
        auto& column = tried[to];
        column.insert(column.begin() + static_cast<std::ptrdiff_t>(at), box);
        if (const double new_cost = try_out(tried, steps); new_cost < cost - 0.5) {
          cost = new_cost;
          best = tried;
        }
        tried[to].erase(tried[to].begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    if (best.empty()) return false;
    columns = std::move(best);
    return true;
  }

  bool swap(Columns& columns, std::size_t box, double& cost, double& steps) {
    const auto find = [&](std::size_t wanted) -> std::size_t* {
      for (auto& column : columns) {
        if (const auto found = std::ranges::find(column, wanted); found != column.end()) return &*found;
      }
      return nullptr;
    };
    for (std::size_t other = box + 1; other < boxes_.size() && steps > 0; ++other) {
      std::size_t* const here = find(box);
      std::size_t* const there = find(other);
      std::swap(*here, *there);
      if (const double new_cost = try_out(columns, steps); new_cost < cost - 0.5) {
        cost = new_cost;
        return true;
      }
      std::swap(*here, *there);
    }
    return false;
  }

  double cost_of(const Columns& columns) {
    double width = 0;
    double height = 0;
    lefts_.clear();
    for (std::size_t number = 0; number < columns.size(); ++number) {
      double column_height = 0;
      double column_width = 0;
      for (const std::size_t box : columns[number]) {
        column_height += boxes_[box].height + box_gap;
        column_width = std::max(column_width, boxes_[box].width);
      }
      double top = -column_height / 2;
      for (const std::size_t box : columns[number]) {
        column_[box] = number;
        top_[box] = top;
        top += boxes_[box].height + box_gap;
      }
      height = std::max(height, column_height);
      lefts_.push_back(width);
      width += column_width + (columns[number].empty() ? 0 : channel_guess);
    }
    double cost = price_of_size * std::max(width / wanted_shape, height);
    for (const Run& run : runs_) {
      const auto [less, greater] = std::minmax(column_[run.from], column_[run.to]);
      cost += std::abs(top_[run.from] + run.from_offset - top_[run.to] - run.to_offset);
      if (greater == less) cost += run.from == run.to ? 0 : price_of_same_column;
      if (greater > less + 1) cost += price_of_skipping * static_cast<double>(greater - less - 1);
    }
    return cost + (counts_crossings_ ? price_of_crossing * static_cast<double>(crossings()) : 0);
  }

  /// Of straight lines between the ends.
  [[nodiscard]] std::size_t crossings() const {
    struct Straight {
      double x1, y1, x2, y2;
    };
    std::vector<Straight> lines;
    lines.reserve(runs_.size());
    for (const Run& run : runs_) {
      if (column_[run.from] == column_[run.to]) continue;
      lines.push_back({lefts_[column_[run.from]], top_[run.from] + run.from_offset, lefts_[column_[run.to]],
                       top_[run.to] + run.to_offset});
    }
    const auto side = [](const Straight& line, double x, double y) {
      return (line.x2 - line.x1) * (y - line.y1) - (line.y2 - line.y1) * (x - line.x1);
    };
    std::size_t count = 0;
    for (std::size_t a = 0; a < lines.size(); ++a) {
      for (std::size_t b = a + 1; b < lines.size(); ++b) {
        const Straight& p = lines[a];
        const Straight& q = lines[b];
        if (side(p, q.x1, q.y1) * side(p, q.x2, q.y2) < 0 && side(q, p.x1, p.y1) * side(q, p.x2, p.y2) < 0) ++count;
      }
    }
    return count;
  }

  const std::vector<BoxSize>& boxes_;
  const std::vector<Run>& runs_;
  std::vector<std::size_t> column_;
  std::vector<double> top_;
  std::vector<double> lefts_;
  double price_of_trying_ = 1;
  bool counts_crossings_ = false;
};

}  // namespace

Columns place(const std::vector<BoxSize>& boxes, const std::vector<Run>& runs) {
  return Search(boxes, runs).find();
}

}  // namespace culvert::topology
