// Puts the boxes of all namespaces in their places and leads the lines between them.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "card.hpp"
#include "channel.hpp"
#include "culvert/base/printable.hpp"
#include "drawing.hpp"
#include "placing.hpp"

namespace culvert::topology {

namespace {

constexpr double margin = 26;
constexpr double header_height = 58;
constexpr double legend_height = 46;
constexpr double track_gap = 9;
constexpr double channel_margin = 20;
constexpr double lane_gap = 9;
constexpr double least_between_lines = 8;

/// A line from a row of one box to a row of another.
struct Line {
  EdgeKind kind = EdgeKind::Veth;
  std::size_t from = 0, to = 0;
  RowName from_row, to_row;
  std::string title;
};

/// What stands in a column: a box, or a lane that leads a line past the boxes above and below.
struct Item {
  bool is_lane = false;
  std::size_t card = 0;
  double y = 0, height = 0;
};

/// Where a line ends on a side of an item; lines from one row end in one port.
struct Port {
  std::size_t item = 0;
  double offset = 0;
  double shift = 0;  ///< off the middle of the row, so that no two lines meet that do not belong together
};

struct Passage {
  std::size_t line = 0;
  std::size_t channel = 0;
  std::size_t port1 = 0, port2 = 0;
  bool is_left1 = true, is_left2 = false;
};

bool is_between(double value, double one, double two) {
  return std::min(one, two) < value && value < std::max(one, two);
}

bool do_cross(const std::vector<Point>& one, const std::vector<Point>& two) {
  const auto crosses = [](Point a, Point b, Point c, Point d) {
    return a.y == b.y && c.x == d.x && is_between(c.x, a.x, b.x) && is_between(a.y, c.y, d.y);
  };
  for (std::size_t i = 0; i + 1 < one.size(); ++i) {
    for (std::size_t j = 0; j + 1 < two.size(); ++j) {
      if (crosses(one[i], one[i + 1], two[j], two[j + 1]) || crosses(two[j], two[j + 1], one[i], one[i + 1]))
        return true;
    }
  }
  return false;
}

class Layout {
 public:
  explicit Layout(const Topology& topology) : topology_(topology), wishes_(topology.namespaces.size()) {}

  Drawing draw() {
    find_lines();
    stand();
    for (int round = 0; round < 3; ++round) {
      lead();
      settle();
      if (round < 2) rearrange();
    }
    part();
    paint();
    return std::move(drawing_);
  }

 private:
  [[nodiscard]] RowName row_at(Place place) const {
    return topology_.find(place) == nullptr ? RowName{} : RowName{place.index, 0};
  }

  [[nodiscard]] RowName peer_row(Place place, Place far) const {
    const Link* const link = topology_.find(place);
    if (link == nullptr || !link->tunnel) return row_at(place);
    const auto& peers = link->tunnel->peers;
    const auto found = std::ranges::find(peers, std::optional(far), &Peer::device);
    if (found == peers.end()) return row_at(place);
    return {place.index, static_cast<std::size_t>(found - peers.begin()) + 1};
  }

  void find_lines() {
    for (const Edge& edge : topology_.edges) {
      const bool is_within = edge.from.space == edge.to.space;
      if (edge.kind == EdgeKind::Port || (edge.kind == EdgeKind::Parent && is_within)) continue;
      Line line{edge.kind, edge.from.space, edge.to.space, row_at(edge.from), row_at(edge.to), {}};
      if (edge.kind == EdgeKind::Peer) {
        line.from_row = peer_row(edge.from, edge.to);
        line.to_row = peer_row(edge.to, edge.from);
      }
      line.title = label_of(topology_, edge.from) + " - " + label_of(topology_, edge.to);
      lines_.push_back(std::move(line));
    }
  }

  void make_cards() {
    cards_.clear();
    for (std::size_t space = 0; space < topology_.namespaces.size(); ++space) {
      const double width = widths_.empty() ? wanted_width(topology_, space) : widths_[column_[space]];
      cards_.push_back(card_of(topology_, space, width, wishes_[space]));
    }
  }

  [[nodiscard]] double offset_of(std::size_t card, const RowName& row) const { return cards_[card].rows.at(row); }

  void stand() {
    make_cards();
    std::vector<BoxSize> sizes;
    for (const Card& card : cards_) sizes.push_back({card.width, card.height});
    std::vector<Run> runs;
    for (const Line& line : lines_) {
      runs.push_back({line.from, line.to, offset_of(line.from, line.from_row), offset_of(line.to, line.to_row)});
    }
    columns_ = place(sizes, runs);
    column_.resize(cards_.size());
    for (std::size_t number = 0; number < columns_.size(); ++number) {
      double width = 0;
      for (const std::size_t card : columns_[number]) {
        column_[card] = number;
        width = std::max(width, cards_[card].width);
      }
      widths_.push_back(width);
    }
    make_cards();
    tops_.resize(cards_.size());
    for (const auto& column : columns_) {
      double height = 0;
      for (const std::size_t card : column) height += cards_[card].height + box_gap;
      double top = -height / 2;
      for (const std::size_t card : column) {
        tops_[card] = top;
        top += cards_[card].height + box_gap;
      }
    }
  }

  [[nodiscard]] double height_at(std::size_t card, const RowName& row) const {
    return tops_[card] + offset_of(card, row);
  }

  std::size_t port_of(std::size_t item, double offset, bool is_left_side) {
    const bool is_lane = items_[item].is_lane;
    const auto [found, is_new] = port_numbers_.try_emplace({item, offset, is_lane || is_left_side}, ports_.size());
    if (is_new) ports_.push_back({item, offset, 0});
    return found->second;
  }

  /// Leads each line from column to column, past boxes by a lane.
  void lead() {
    items_.clear();
    ports_.clear();
    port_numbers_.clear();
    passages_.clear();
    stacks_.assign(columns_.size(), {});
    for (std::size_t card = 0; card < cards_.size(); ++card) {
      items_.push_back({false, card, tops_[card], cards_[card].height});
    }
    for (std::size_t number = 0; number < columns_.size(); ++number) stacks_[number] = columns_[number];
    std::vector<std::size_t> loads(columns_.size() + 1, 0);
    for (std::size_t number = 0; number < lines_.size(); ++number) {
      const Line& line = lines_[number];
      if (column_[line.from] != column_[line.to]) lead_across(number, loads);
    }
    for (std::size_t number = 0; number < lines_.size(); ++number) {
      const Line& line = lines_[number];
      if (column_[line.from] == column_[line.to]) lead_beside(number, loads);
    }
  }

  void lead_across(std::size_t number, std::vector<std::size_t>& loads) {
    const Line& line = lines_[number];
    const bool is_forward = column_[line.from] < column_[line.to];
    const std::size_t left = is_forward ? line.from : line.to;
    const std::size_t right = is_forward ? line.to : line.from;
    const double offset1 = offset_of(left, is_forward ? line.from_row : line.to_row);
    const double offset2 = offset_of(right, is_forward ? line.to_row : line.from_row);
    const double y1 = tops_[left] + offset1;
    const double y2 = tops_[right] + offset2;
    std::size_t port = port_of(left, offset1, false);
    const std::size_t last = column_[right];
    for (std::size_t column = column_[left] + 1; column <= last; ++column) {
      const double share = static_cast<double>(column - column_[left]) / static_cast<double>(last - column_[left]);
      const std::size_t item = column == last ? right : add_lane(column, y1 + (y2 - y1) * share);
      const std::size_t next = port_of(item, column == last ? offset2 : 0, true);
      passages_.push_back({number, column, port, next, true, false});
      ++loads[column];
      port = next;
    }
  }

  std::size_t add_lane(std::size_t column, double y) {
    auto& stack = stacks_[column];
    const std::size_t item = items_.size();
    const auto is_above = [&](std::size_t other) { return items_[other].y + items_[other].height / 2 < y; };
    auto place = std::ranges::find_if_not(stack, is_above);
    items_.push_back({true, 0, y, 0});
    stack.insert(place, item);
    return item;
  }

  void lead_beside(std::size_t number, std::vector<std::size_t>& loads) {
    const Line& line = lines_[number];
    const std::size_t column = column_[line.from];
    const bool goes_left = loads[column] < loads[column + 1];
    const auto port = [&](std::size_t card, const RowName& row) {
      return port_of(card, offset_of(card, row), goes_left);
    };
    const std::size_t channel = goes_left ? column : column + 1;
    passages_.push_back(
        {number, channel, port(line.from, line.from_row), port(line.to, line.to_row), !goes_left, !goes_left});
    ++loads[channel];
  }

  [[nodiscard]] double y_of(const Port& port) const { return items_[port.item].y + port.offset + port.shift; }

  [[nodiscard]] double gap_between(std::size_t above, std::size_t below) const {
    if (items_[above].is_lane && items_[below].is_lane) return lane_gap;
    return items_[above].is_lane || items_[below].is_lane ? box_gap / 2 : box_gap;
  }

  /// Moves boxes up and down, in their order, to where their lines become short.
  void settle() {
    for (int round = 0; round < 12; ++round) {
      for (std::size_t step = 0; step < stacks_.size(); ++step) {
        settle(stacks_[round % 2 == 0 ? step : stacks_.size() - 1 - step]);
      }
    }
    for (Item& item : items_) {
      // Whole pixels are sharp, and heights that are meant to be the same are.
      item.y = std::round(item.y);
      if (!item.is_lane) tops_[item.card] = item.y;
    }
  }

  void settle(const std::vector<std::size_t>& stack) {
    std::map<std::size_t, std::pair<double, double>>
        wanted;  // by item: sum of heights that lines would like, and count
    for (const Passage& passage : passages_) {
      const Port& one = ports_[passage.port1];
      const Port& two = ports_[passage.port2];
      const auto pull = [&](const Port& port, const Port& other) {
        auto& [sum, count] = wanted[port.item];
        sum += y_of(other) - port.offset;
        count += 1;
      };
      if (one.item == two.item) continue;
      pull(one, two);
      pull(two, one);
    }
    // Least squares under an order: pools of items that touch each other move as one.
    struct Pool {
      double sum, weight;
      std::size_t count;
    };
    std::vector<Pool> pools;
    std::vector<double> ahead;
    double offset = 0;
    for (std::size_t i = 0; i < stack.size(); ++i) {
      const std::size_t item = stack[i];
      if (i != 0) offset += items_[stack[i - 1]].height + gap_between(stack[i - 1], item);
      ahead.push_back(offset);
      const auto found = wanted.find(item);
      const double weight = found == wanted.end() ? 0.02 : found->second.second;
      const double wish = found == wanted.end() ? items_[item].y : found->second.first / found->second.second;
      pools.push_back({(wish - offset) * weight, weight, 1});
      while (pools.size() > 1 &&
             pools.back().sum / pools.back().weight < pools[pools.size() - 2].sum / pools[pools.size() - 2].weight) {
        const Pool last = pools.back();
        pools.pop_back();
        pools.back().sum += last.sum;
        pools.back().weight += last.weight;
        pools.back().count += last.count;
      }
    }
    std::size_t next = 0;
    for (const Pool& pool : pools) {
      for (std::size_t i = 0; i < pool.count; ++i, ++next) items_[stack[next]].y = pool.sum / pool.weight + ahead[next];
    }
  }

  /// Puts rows that may change places into the order in which their lines arrive.
  void rearrange() {
    for (Wishes& wishes : wishes_) wishes.clear();
    std::map<std::pair<std::size_t, std::uint32_t>, std::pair<double, int>> sums;
    const auto note = [&](std::size_t card, const RowName& row, double far) {
      auto& [sum, count] = sums[{card, row.link}];
      sum += far;
      ++count;
    };
    for (const Line& line : lines_) {
      if (line.from == line.to) continue;
      note(line.from, line.from_row, height_at(line.to, line.to_row));
      note(line.to, line.to_row, height_at(line.from, line.from_row));
    }
    // Links without lines, with no wish, come first: all others wish for more than nothing.
    double least = 0;
    for (const double top : tops_) least = std::min(least, top);
    for (const auto& [row, sum] : sums) wishes_[row.first][row.second] = sum.first / sum.second - least + 1;
    make_cards();
  }

  /// Shifts ports a little where lines that do not belong together would run into each other.
  void part() {
    std::vector<std::set<std::size_t>> ports_in(columns_.size() + 1);
    std::vector<std::set<std::size_t>> channels_of(ports_.size());
    std::map<std::size_t, std::size_t> partners;
    for (const Passage& passage : passages_) {
      for (const std::size_t port : {passage.port1, passage.port2}) {
        ports_in[passage.channel].insert(port);
        channels_of[port].insert(passage.channel);
      }
      if (passage.is_left1 != passage.is_left2) {
        partners.try_emplace(passage.port1, passage.port2);
        partners.try_emplace(passage.port2, passage.port1);
      }
    }
    std::set<std::size_t> done;
    for (std::size_t port = 0; port < ports_.size(); ++port) {
      const auto clearance = [&](double shift) {
        double least = least_between_lines;
        for (const std::size_t channel : channels_of[port]) {
          for (const std::size_t other : ports_in[channel]) {
            if (other == port || !done.contains(other)) continue;
            const double distance = std::abs(y_of(ports_[port]) + shift - y_of(ports_[other]));
            const bool is_partner = partners.contains(port) && partners.at(port) == other;
            if (!(is_partner && distance == 0)) least = std::min(least, distance);
          }
        }
        return least;
      };
      std::vector<double> shifts{0, 3, -3, 5, -5, 7, -7, 1.5, -1.5};
      if (const auto partner = partners.find(port); partner != partners.end() && done.contains(partner->second)) {
        const double straight = y_of(ports_[partner->second]) - y_of(ports_[port]);
        if (std::abs(straight) <= 7) shifts.insert(shifts.begin(), straight);
      }
      double best = -1;
      double chosen = 0;
      for (const double shift : shifts) {
        if (const double clear = clearance(shift); clear > best) {
          best = clear;
          chosen = shift;
        }
      }
      ports_[port].shift = chosen;
      done.insert(port);
    }
  }

  void paint() {
    std::vector<std::vector<Hop>> hops(columns_.size() + 1);
    std::vector<std::size_t> hop_of;
    for (const Passage& passage : passages_) {
      hop_of.push_back(hops[passage.channel].size());
      hops[passage.channel].push_back(
          {y_of(ports_[passage.port1]), y_of(ports_[passage.port2]), passage.is_left1, passage.is_left2, 0});
    }
    std::vector<double> channel_lefts;
    std::vector<double> lefts;
    double x = margin;
    for (std::size_t channel = 0; channel <= columns_.size(); ++channel) {
      const std::size_t tracks = assign_tracks(hops[channel]);
      const bool is_outer = channel == 0 || channel == columns_.size();
      channel_lefts.push_back(x + (tracks == 0 ? 0 : channel_margin));
      x += tracks == 0 ? (is_outer ? 0 : 2 * channel_margin)
                       : (is_outer ? 1 : 2) * channel_margin + static_cast<double>(tracks - 1) * track_gap;
      if (channel == 0 && tracks != 0) channel_lefts.back() -= channel_margin;
      if (channel == columns_.size()) break;
      lefts.push_back(x);
      x += widths_[channel];
    }
    double top = 0;
    double bottom = 0;
    for (const Item& item : items_) top = std::min(top, item.y);
    for (std::size_t channel = 0; channel < hops.size(); ++channel) {
      for (const Hop& hop : hops[channel]) top = std::min({top, hop.y1, hop.y2});
    }
    const double down = margin + header_height - top;
    for (const Item& item : items_) bottom = std::max(bottom, item.y + item.height + down);

    std::vector<std::vector<Point>> points(lines_.size());
    for (std::size_t i = 0; i < passages_.size(); ++i) {
      const Passage& passage = passages_[i];
      const Hop& hop = hops[passage.channel][hop_of[i]];
      const double track = channel_lefts[passage.channel] + static_cast<double>(hop.track) * track_gap;
      const auto side = [&](bool is_left) {
        return is_left ? lefts[passage.channel - 1] + widths_[passage.channel - 1] : lefts[passage.channel];
      };
      auto& line = points[passage.line];
      line.push_back({side(hop.is_left1), hop.y1 + down});
      if (hop.y1 != hop.y2 || hop.is_left1 == hop.is_left2) {
        line.push_back({track, hop.y1 + down});
        line.push_back({track, hop.y2 + down});
      }
      line.push_back({side(hop.is_left2), hop.y2 + down});
    }
    for (std::size_t card = 0; card < cards_.size(); ++card) paint_card(card, lefts[column_[card]], tops_[card] + down);
    const std::vector<std::size_t> hues = choose_hues(points);
    for (std::size_t number = 0; number < lines_.size(); ++number) {
      drawing_.wires.push_back({lines_[number].kind, hues[number], points[number], lines_[number].title});
    }
    drawing_.width = x + margin;
    finish(bottom);
  }

  /// Lines that cross differ as far as there are hues, and so do those that only pass the same channel.
  [[nodiscard]] std::vector<std::size_t> choose_hues(const std::vector<std::vector<Point>>& points) const {
    constexpr std::size_t weight_of_crossing = 1000;
    std::vector<std::set<std::size_t>> channels(lines_.size());
    for (const Passage& passage : passages_) channels[passage.line].insert(passage.channel);
    std::vector<std::array<std::size_t, hue_count>> uses(columns_.size() + 1);
    std::vector<std::size_t> hues;
    for (std::size_t line = 0; line < lines_.size(); ++line) {
      std::array<std::size_t, hue_count> near{};
      for (const std::size_t channel : channels[line]) {
        for (std::size_t hue = 0; hue < hue_count; ++hue) near[hue] += uses[channel][hue];
      }
      for (std::size_t other = 0; other < line; ++other) {
        if (do_cross(points[line], points[other])) near[hues[other]] += weight_of_crossing;
      }
      const auto chosen = static_cast<std::size_t>(std::ranges::min_element(near) - near.begin());
      for (const std::size_t channel : channels[line]) ++uses[channel][chosen];
      hues.push_back(chosen);
    }
    return hues;
  }

  void paint_card(std::size_t number, double x, double y) {
    const Namespace& space = topology_.namespaces[number];
    Card& card = cards_[number];
    const std::string_view style = !space.problem.empty() ? "closed" : space.is_own ? "own" : "";
    drawing_.boxes.push_back({{x, y, card.width, card.height}, card.head_height, style, label_of(space)});
    for (Bracket& bracket : card.brackets) {
      for (Point& point : bracket.points) point = {point.x + x, point.y + y};
      drawing_.brackets.push_back(std::move(bracket));
    }
    for (Dot dot : card.dots) {
      dot.center = {dot.center.x + x, dot.center.y + y};
      drawing_.dots.push_back(dot);
    }
    for (Label& label : card.labels) {
      label.start = {label.start.x + x, label.start.y + y};
      drawing_.labels.push_back(std::move(label));
    }
  }

  [[nodiscard]] static std::string counted(std::size_t count, const char* what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
  }

  void finish(double bottom) {
    std::size_t links = 0;
    for (const Namespace& space : topology_.namespaces) links += space.links.size();
    drawing_.labels.push_back({{margin, margin + 14}, 17, "Network namespaces", "heading"});
    drawing_.labels.push_back({{margin, margin + 33},
                               12,
                               counted(topology_.namespaces.size(), "namespace") + ", " + counted(links, "link"),
                               "head"});
    double y = bottom;
    for (const std::string& remark : topology_.remarks) {
      y += 20;
      drawing_.labels.push_back({{margin, y}, 10.5, "not seen: " + printable(remark), "problem"});
      drawing_.width = std::max(drawing_.width, margin * 2 + area_of(drawing_.labels.back()).width);
    }
    legend(y + legend_height - 10);
  }

  void legend(double y) {
    constexpr std::pair<EdgeKind, std::string_view> words[] = {
        {EdgeKind::Veth, "veth pair"},
        {EdgeKind::Parent, "made on (VLAN, macvlan)"},
        {EdgeKind::Peer, "tunnel to peer"},
        {EdgeKind::Socket, "tunnel's socket"},
    };
    constexpr double gap = 26;
    constexpr double sample = 34;
    double x = margin;
    double right = x;
    const auto start = [&](double wanted) {
      if (x != margin && x + wanted > std::max(drawing_.width, 420.0) - margin) {
        x = margin;
        y += 22;
      }
    };
    for (const auto& [kind, word] : words) {
      const auto is_kind = [kind = kind](const Line& line) { return line.kind == kind; };
      if (std::ranges::none_of(lines_, is_kind)) continue;
      const double width = sample + 8 + width_of(word, 10.5);
      start(width);
      drawing_.samples.push_back({kind, 0, {{x, y - 4}, {x + sample, y - 4}}, std::string(word)});
      drawing_.labels.push_back({{x + sample + 8, y}, 10.5, std::string(word), "kind"});
      x += width + gap;
      right = std::max(right, x);
    }
    for (const auto& [style, word] : {std::pair{"up", "up"}, {"waiting", "up, no carrier"}, {"down", "down"}}) {
      const double width = 14 + width_of(word, 10.5);
      start(width);
      drawing_.dots.push_back({{x + 4, y - 4}, style});
      drawing_.labels.push_back({{x + 14, y}, 10.5, word, "kind"});
      x += width + gap;
      right = std::max(right, x);
    }
    drawing_.width = std::ceil(std::max(drawing_.width, right - gap + margin));
    drawing_.height = std::ceil(y + margin);
  }

  const Topology& topology_;
  std::vector<Line> lines_;
  std::vector<Wishes> wishes_;
  std::vector<Card> cards_;
  Columns columns_;
  std::vector<std::size_t> column_;
  std::vector<double> widths_;
  std::vector<double> tops_;
  std::vector<Item> items_;
  std::vector<std::vector<std::size_t>> stacks_;  ///< items of each column, from the top
  std::vector<Port> ports_;
  std::map<std::tuple<std::size_t, double, bool>, std::size_t> port_numbers_;
  std::vector<Passage> passages_;
  Drawing drawing_;
};

}  // namespace

double width_of(std::string_view text, double size) {
  constexpr double advance = 0.605;
  return static_cast<double>(text.size()) * advance * size;
}

Area area_of(const Label& label) {
  constexpr double above = 0.8;
  constexpr double below = 0.24;
  return {label.start.x, label.start.y - above * label.size, width_of(label.text, label.size),
          (above + below) * label.size};
}

Drawing draw(const Topology& topology) {
  return Layout(topology).draw();
}

}  // namespace culvert::topology
