// Tables within a width.
#include "culvert/bench/table.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "culvert/bench/figure_text.hpp"
#include "culvert/bench/view.hpp"

namespace culvert {
namespace {

constexpr std::size_t gap = 2;

std::string heading(const std::string& text, const TableStyle& style) {
  return (style.has_color ? "\x1b[1m" + text + "\x1b[0m" : text) + "\n";
}

/// Words in lines of at most `width` columns, those after the first indented.
std::string wrapped(std::string_view text, std::size_t width, std::string_view indent = "") {
  std::string lines;
  std::string line;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (!line.empty() && width_of(line) + 1 + width_of(word) > width) {
      lines += line + "\n";
      line = std::string(indent);
    } else if (!line.empty()) {
      line += ' ';
    }
    line += word;
  }
  return lines + line + "\n";
}

/// Cells of text, the first row and column being names.
class Grid {
 public:
  /// A column has two ways to be shown: with spreads and without.
  struct Column {
    std::vector<std::string> wide, narrow;
  };

  std::vector<std::string> labels;
  std::vector<Column> columns;

  /// Takes spreads away from the last columns first, and from as few as have to.
  [[nodiscard]] std::string text(std::size_t width) const {
    std::size_t with_spread = columns.size();
    while (with_spread > 0 && total(with_spread) > width) --with_spread;
    const std::size_t label_width = widest(labels);
    std::string text;
    for (std::size_t row = 0; row < labels.size(); ++row) {
      std::string line = padded(labels[row], label_width);
      for (std::size_t i = 0; i < columns.size(); ++i) {
        const std::vector<std::string>& shown = i < with_spread ? columns[i].wide : columns[i].narrow;
        line += std::string(gap, ' ') + padded(shown[row], widest(shown));
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
    return text;
  }

 private:
  static std::size_t widest(const std::vector<std::string>& all) {
    std::size_t width = 0;
    for (const std::string& text : all) width = std::max(width, width_of(text));
    return width;
  }
  [[nodiscard]] std::size_t total(std::size_t with_spread) const {
    std::size_t width = widest(labels);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      width += gap + widest(i < with_spread ? columns[i].wide : columns[i].narrow);
    }
    return width;
  }
};

std::string summary_of(const Views& views, std::size_t width) {
  if (views.summary.empty()) return "Of the tunnel nothing was measured.\n";
  std::string text;
  std::string about;
  for (const Summary& summary : views.summary) {
    const Scale scale = scale_for(summary.points.front().second.figure->median(), summary.kind.unit);
    std::string line = padded(summary.name, 11);
    for (const auto& [name, point] : summary.points) {
      line += (&name == &summary.points.front().first ? "  " : ", ") + name + " " +
              with_spread(*point.figure, scale.divisor) + signs_of(point);
    }
    text += line + " " + scale.unit + "\n";
    about += (about.empty() ? "Measured: " : "; ") + summary.about;
  }
  return text + wrapped(about + ".", width, "  ");
}

std::string duels_of(const Views& views, std::size_t width) {
  std::string verdict = verdict_of(views);
  if (width_of(verdict) > width) verdict = verdict_of(views, false);
  if (views.duels.empty()) return verdict + "\n";
  Grid grid;
  grid.labels = {"tun", "tap"};
  std::string about;
  for (const Duel& duel : views.duels) {
    const Scale scale = scale_for(std::max(duel.tun.figure->median(), duel.tap.figure->median()), duel.kind.unit);
    Grid::Column column;
    for (const ViewPoint& point : {duel.tun, duel.tap}) {
      const std::string end = " " + scale.unit + signs_of(point);
      column.wide.push_back(with_spread(*point.figure, scale.divisor) + end);
      column.narrow.push_back(short_number(point.figure->median() / scale.divisor) + end);
    }
    grid.columns.push_back(std::move(column));
    about += (about.empty() ? "Compared: " : "; ") + duel.about;
  }
  return verdict + "\n" + grid.text(width) + wrapped(about + ".", width, "  ");
}

std::string table_of(const View& view, const TableStyle& style) {
  const Scale scale = view.scale();
  Grid grid;
  grid.labels.emplace_back(view.row_name);
  grid.labels.insert(grid.labels.end(), view.rows.begin(), view.rows.end());
  for (std::size_t column = 0; column < view.columns.size(); ++column) {
    const std::string name(to_string(view.columns[column]));
    Grid::Column shown{{name}, {name}};
    for (const auto& row : view.points) {
      const ViewPoint& point = row[column];
      const std::string signs = signs_of(point);
      shown.wide.push_back(point.figure == nullptr ? "-" : with_spread(*point.figure, scale.divisor) + signs);
      shown.narrow.push_back(point.figure == nullptr ? "-"
                                                     : short_number(point.figure->median() / scale.divisor) + signs);
    }
    grid.columns.push_back(std::move(shown));
  }
  return heading(view.title + ", " + scale.unit, style) + (view.about.empty() ? "" : view.about + "\n") +
         grid.text(style.width);
}

/// The cells in which most was dropped, with what and why.
std::string drops_of(const BenchResult& result, const TableStyle& style) {
  constexpr std::size_t cells_max = 10;
  struct Drops {
    std::uint64_t count = 0;
    std::string text;
  };
  std::vector<Drops> all;
  for (const Cell& cell : result.cells) {
    Drops drops;
    for (const auto& [reason, count] : cell.drops) {
      if (count == 0) continue;
      drops.text += (drops.count == 0 ? ": " : ", ") + one_line(reason) + " " + std::to_string(count);
      drops.count += count;
    }
    if (drops.count != 0) all.push_back({drops.count, text_of(cell.key) + drops.text});
  }
  if (all.empty()) return "";
  std::ranges::stable_sort(all, std::greater(), &Drops::count);
  std::string text = heading("Packets that the tunnel dropped", style);
  for (const Drops& drops : std::span(all).first(std::min(all.size(), cells_max))) {
    text += wrapped(drops.text, style.width, "  ");
  }
  if (all.size() > cells_max) text += "and fewer in " + counted(all.size() - cells_max, "more cell") + "\n";
  return text + "\n";
}

std::string notes_of(const BenchResult& result, const Views& views, std::size_t width) {
  bool is_limited = false;
  bool is_wide = false;
  const auto look_at = [&](const ViewPoint& point) {
    const std::string signs = signs_of(point);
    is_limited = is_limited || signs.find("†") != std::string::npos;
    is_wide = is_wide || signs.find("‡") != std::string::npos;
  };
  for (const Summary& summary : views.summary) {
    for (const auto& [name, point] : summary.points) look_at(point);
  }
  for (const View& view : views.views) {
    for (const auto& row : view.points) std::ranges::for_each(row, look_at);
  }
  std::string text = wrapped("Median (least–most) of " + std::to_string(result.rounds) + " rounds" +
                                 (views.is_of_one_tunnel ? "."
                                                         : "; tun and tap are even where their spreads overlap. TCP on "
                                                           "the bare uplink uses the largest packets that it carries."),
                             width);
  if (is_limited) text += wrapped(limited_note, width, "  ");
  if (is_wide) text += wrapped(wide_note, width, "  ");
  for (const MissingTopic& missing : views.missing) text += wrapped(missing.topic + ": " + missing.why, width, "  ");
  for (const std::string& note : result.notes) text += wrapped("Note: " + one_line(note), width, "  ");
  return text;
}

}  // namespace

std::string to_table(const BenchResult& result, TableStyle style) {
  style.width = std::max<std::size_t>(style.width, 80);
  const Views views = views_of(result);
  std::string text = (views.is_of_one_tunnel ? summary_of(views, style.width) : duels_of(views, style.width)) + "\n";
  for (const View& view : views.views) text += table_of(view, style) + "\n";
  text += drops_of(result, style);
  text += notes_of(result, views, style.width);
  for (const auto& [name, value] : facts_about(result)) text += wrapped(name + ": " + value, style.width, "  ");
  return text;
}

}  // namespace culvert
