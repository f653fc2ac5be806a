// The box of one namespace in the drawing.
#include "card.hpp"

#include <algorithm>

#include "branches.hpp"
#include "culvert/base/printable.hpp"
#include "wording.hpp"

namespace culvert::topology {

namespace {

constexpr double title_size = 14;
constexpr double name_size = 12;
constexpr double small_size = 10.5;
constexpr double title_leading = 18;
constexpr double name_leading = 17;
constexpr double small_leading = 14;
constexpr double padding = 14;
constexpr double indent = 18;
constexpr double dot_room = 14;
constexpr double least_width = 250;
constexpr double most_width = 380;
constexpr double row_gap = 6;
constexpr std::string_view arrow = "->";

std::size_t columns_within(double width, double size) {
  return static_cast<std::size_t>(std::max(1.0, width / width_of("x", size)));
}

/// What is too long goes on in the next line, after a space or a mark if there is one not too far ahead.
std::vector<std::string> broken(std::string_view word, std::size_t columns) {
  std::vector<std::string> pieces;
  while (word.size() > columns) {
    const std::size_t mark = word.substr(0, columns).find_last_of(" -/.:");
    const std::size_t size = mark == std::string_view::npos || mark < columns / 2 ? columns : mark + 1;
    pieces.emplace_back(word.substr(0, size));
    word.remove_prefix(size);
  }
  pieces.emplace_back(word);
  return pieces;
}

std::vector<std::string> filled(const std::vector<std::string>& words, std::size_t columns) {
  std::vector<std::string> pieces;
  for (const std::string& word : words) {
    for (std::string& piece : broken(word, columns)) pieces.push_back(std::move(piece));
  }
  return lines_of(pieces, columns);
}

std::string_view style_of(const Link& link) {
  if (!link.is_up) return "down";
  return link.state == "UP" || link.state == "UNKNOWN" ? "up" : "waiting";
}

bool shows_lower(const Topology& topology, std::size_t space, const Link& link, bool is_below_lower) {
  if (!link.lower_at) return false;
  return link.kind == "veth" || is_below_lower || link.lower_at->space != space ||
         topology.find(*link.lower_at) == nullptr;
}

std::string right_text(const Link& link) {
  return link.state + " " + std::to_string(link.mtu);
}

class Filling {
 public:
  Filling(const Topology& topology, std::size_t space, double width, const Wishes& wishes)
      : topology_(topology), space_(space), wishes_(wishes) {
    card_.width = width;
  }

  Card fill() {
    head();
    const Namespace& space = topology_.namespaces[space_];
    if (!space.problem.empty()) {
      y_ += row_gap;
      texts({printable(space.problem)}, padding, "problem");
    }
    std::vector<Branch> branches = branches_of(topology_, space_);
    add(branches, 0, false);
    card_.height = y_ + padding - row_gap / 2;
    return std::move(card_);
  }

 private:
  void head() {
    const Namespace& space = topology_.namespaces[space_];
    y_ = padding - 6;
    card_.rows[{}] = y_ + title_leading / 2;
    for (std::string& piece : broken(label_of(space), columns_within(card_.width - 2 * padding, title_size))) {
      y_ += title_leading;
      card_.labels.push_back({{padding, y_ - 4}, title_size, std::move(piece), "title"});
    }
    texts(words_about(space), padding, "head");
    y_ += 7;
    card_.head_height = y_;
    y_ += 3;
  }

  void texts(const std::vector<std::string>& words, double x, std::string_view style) {
    for (std::string& piece : filled(words, columns_within(card_.width - padding - x, small_size))) {
      y_ += small_leading;
      card_.labels.push_back({{x, y_ - 3}, small_size, std::move(piece), style});
    }
  }

  [[nodiscard]] double wish(const Branch& branch) const {
    const auto own = wishes_.find(branch.link->index);
    if (own != wishes_.end()) return own->second;
    double sum = 0;
    std::size_t count = 0;
    for (const Branch& each : branch.below) {
      if (const double height = wish(each); height > 0) {
        sum += height;
        ++count;
      }
    }
    return count == 0 ? 0 : sum / static_cast<double>(count);
  }

  double add(std::vector<Branch>& branches, std::size_t depth, bool is_below_lower) {
    std::ranges::stable_sort(branches, {}, [&](const Branch& branch) { return wish(branch); });
    double last = y_;
    for (Branch& branch : branches) last = add(branch, depth, is_below_lower);
    return last;
  }

  /// Returns the height of the row's middle.
  double add(Branch& branch, std::size_t depth, bool is_below_lower) {
    const Link& link = *branch.link;
    const double x = padding + indent * static_cast<double>(depth);
    y_ += row_gap;
    const double middle = y_ + name_leading / 2;
    y_ += name_leading;
    const double base = y_ - 4.5;
    card_.rows[{link.index, 0}] = middle;
    card_.dots.push_back({{x + 4, middle}, style_of(link)});
    const std::string name = printable(link.name);
    card_.labels.push_back({{x + dot_room, base}, name_size, name, "name"});
    const double after_name = x + dot_room + width_of(name, name_size) + 7;
    card_.labels.push_back({{after_name, base}, small_size, printable(link.kind), "kind"});
    const std::string right = right_text(link);
    const double right_start = card_.width - padding - width_of(right, small_size);
    // Deep down and with a long name there is no room for both in one line.
    const bool has_room = after_name + width_of(printable(link.kind), small_size) + row_gap <= right_start;
    if (!has_room) y_ += small_leading;
    card_.labels.push_back({{right_start, has_room ? base : y_ - 3}, small_size, right, style_of(link)});
    const bool is_made_on = is_below_lower && link.master == 0;
    texts(words_about(topology_, space_, link, shows_lower(topology_, space_, link, is_made_on), arrow), x + dot_room,
          "detail");

    double last = middle;
    const auto tick = [&](double to) {
      card_.brackets.push_back({{{x + 4, to}, {x + indent, to}}});
      last = to;
    };
    if (link.tunnel) {
      for (std::size_t number = 1; number <= link.tunnel->peers.size(); ++number) tick(add(link, number, x + indent));
    }
    std::ranges::stable_sort(branch.below, {}, [&](const Branch& each) { return wish(each); });
    for (Branch& each : branch.below) tick(add(each, depth + 1, true));
    if (last > middle) card_.brackets.push_back({{{x + 4, middle + 5}, {x + 4, last}}});
    return middle;
  }

  double add(const Link& link, std::size_t number, double x) {
    const Peer& peer = link.tunnel->peers[number - 1];
    y_ += row_gap / 2;
    const double middle = y_ + name_leading / 2;
    y_ += name_leading;
    card_.rows[{link.index, number}] = middle;
    bool is_first = true;
    for (std::string& piece :
         broken("peer " + label_of(peer), columns_within(card_.width - padding - x - 4, name_size))) {
      if (!std::exchange(is_first, false)) y_ += name_leading;
      card_.labels.push_back({{x + 4, y_ - 4.5}, name_size, std::move(piece), "peer"});
    }
    texts(words_about(topology_, peer), x + 4, "detail");
    return middle;
  }

  const Topology& topology_;
  std::size_t space_;
  const Wishes& wishes_;
  Card card_;
  double y_ = 0;
};

double wanted_width(const std::vector<Branch>& branches, double x) {
  double wanted = 0;
  for (const Branch& branch : branches) {
    const Link& link = *branch.link;
    const double row = x + dot_room + width_of(printable(link.name), name_size) + 7 +
                       width_of(printable(link.kind), small_size) + 14 + width_of(right_text(link), small_size);
    wanted = std::max({wanted, row, wanted_width(branch.below, x + indent)});
    for (const std::string& address : link.addresses) {
      wanted = std::max(wanted, x + dot_room + width_of(address, small_size));
    }
    if (link.tunnel)
      wanted = std::max(wanted, x + indent + width_of("255.255.255.255:65535  handshake 119 s ago", small_size));
  }
  return wanted;
}

}  // namespace

double wanted_width(const Topology& topology, std::size_t space) {
  const Namespace& of = topology.namespaces[space];
  double wanted = padding + width_of(label_of(of), title_size);
  for (const std::string& word : words_about(of)) wanted = std::max(wanted, padding + width_of(word, small_size));
  wanted = std::max(wanted, wanted_width(branches_of(topology, space), padding));
  // A whisker more, so that no rounding breaks the last word.
  return std::clamp(wanted + padding + 1, least_width, most_width);
}

Card card_of(const Topology& topology, std::size_t space, double width, const Wishes& wishes) {
  return Filling(topology, space, width, wishes).fill();
}

}  // namespace culvert::topology
