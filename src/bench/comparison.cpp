// Two results against each other.
#include "culvert/bench/comparison.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <limits>

#include "culvert/bench/figure_text.hpp"

namespace culvert {
namespace {

namespace json = boost::json;

bool is_within(double value, const Figure& figure) {
  return figure.least() <= value && value <= figure.most();
}

ChangeVerdict verdict_on(const FigureChange& change, double threshold) {
  if (are_alike(change.before, change.after)) return ChangeVerdict::Same;
  if (do_overlap(change.before, change.after) || std::abs(change.change()) <= threshold) return ChangeVerdict::Unclear;
  const bool is_more = change.after.median() > change.before.median();
  return is_more == kind_of(change.name).more_is_better ? ChangeVerdict::Better : ChangeVerdict::Worse;
}

CellChange change_of(const Cell& before, const Cell& after, double threshold) {
  CellChange change{before.key, {}, before.is_limited_by_generator || after.is_limited_by_generator};
  for (const FigureKind& kind : figure_kinds) {
    // What the time is made of is neither good nor bad.
    if (kind.unit == "share") continue;
    const auto one = before.figures.find(std::string(kind.name));
    const auto other = after.figures.find(std::string(kind.name));
    if (one == before.figures.end() || other == after.figures.end()) continue;
    FigureChange figure{one->first, one->second, other->second, ChangeVerdict::Same};
    figure.verdict = verdict_on(figure, threshold);
    change.figures.push_back(std::move(figure));
  }
  // Of all measures, "throughput", "rate" and "p50" stand first among figure_kinds.
  return change;
}

void note_difference(std::vector<std::string>& all, const std::string& what, const std::string& before,
                     const std::string& after) {
  if (before != after) all.push_back(what + ": " + one_line(before) + " → " + one_line(after));
}

std::vector<std::string> differences_between(const BenchResult& before, const BenchResult& after) {
  std::vector<std::string> all;
  note_difference(all, "kind of run", before.kind, after.kind);
  note_difference(all, "rounds", std::to_string(before.rounds), std::to_string(after.rounds));
  note_difference(all, "culvert", before.machine.culvert, after.machine.culvert);
  note_difference(all, "kernel", before.machine.kernel, after.machine.kernel);
  note_difference(all, "processor", before.machine.cpu, after.machine.cpu);
  note_difference(all, "processors", std::to_string(before.machine.cpus), std::to_string(after.machine.cpus));
  note_difference(all, "virtualization", before.machine.virtualization, after.machine.virtualization);
  return all;
}

const FigureChange* first_of(const CellChange& cell) {
  const auto found = std::ranges::find(cell.figures, first_figure(cell.key.measure), &FigureChange::name);
  return found == cell.figures.end() ? nullptr : &*found;
}

std::string percent(double change) {
  if (std::isinf(change)) return "from 0";
  return (change < 0 ? "−" : "+") + short_number(std::abs(change) * 100) + " %";
}

std::string line_of(const FigureChange& figure) {
  const Scale scale = scale_for(figure.before.median(), kind_of(figure.name).unit);
  return "  " + padded(figure.name, 16) + padded(percent(figure.change()), 9, true) + "   " +
         with_spread(figure.before, scale.divisor) + " → " + with_spread(figure.after, scale.divisor) + " " +
         scale.unit + "\n";
}

std::string list_of(const Comparison& comparison, ChangeVerdict verdict) {
  std::string text;
  for (const CellChange& cell : comparison.cells) {
    std::string lines;
    for (const FigureChange& figure : cell.figures) {
      if (figure.verdict == verdict) lines += line_of(figure);
    }
    if (!lines.empty()) text += text_of(cell.key) + (cell.is_limited_by_generator ? " †\n" : "\n") + lines;
  }
  return text;
}

std::string keys_of(const std::vector<CellKey>& keys) {
  std::string text;
  for (const CellKey& key : keys) text += "  " + text_of(key) + "\n";
  return text;
}

json::value key_value(const CellKey& key) {
  return {{"mode", to_string(key.mode)},
          {"cipher", key.cipher},
          {"offloads", to_string(key.offloads)},
          {"queues", key.queues},
          {"streams", key.streams},
          {"packet_size", key.packet_size},
          {"measure", to_string(key.measure)}};
}

json::array key_values(const std::vector<CellKey>& keys) {
  json::array array;
  for (const CellKey& key : keys) array.push_back(key_value(key));
  return array;
}

json::value spread(const Figure& figure) {
  return {{"median", figure.median()}, {"least", figure.least()}, {"most", figure.most()}};
}

json::value cell_value(const CellChange& cell) {
  json::object figures;
  for (const FigureChange& figure : cell.figures) {
    const double change = figure.change();
    figures[figure.name] = {{"verdict", to_string(figure.verdict)},
                            {"change", std::isfinite(change) ? json::value(change) : json::value(nullptr)},
                            {"before", spread(figure.before)},
                            {"after", spread(figure.after)}};
  }
  json::object object = key_value(cell.key).as_object();
  object["limited_by_generator"] = cell.is_limited_by_generator;
  object["figures"] = std::move(figures);
  return object;
}

}  // namespace

bool are_alike(const Figure& one, const Figure& other) {
  return is_within(one.median(), other) || is_within(other.median(), one);
}

bool do_overlap(const Figure& one, const Figure& other) {
  return one.least() <= other.most() && other.least() <= one.most();
}

double FigureChange::change() const {
  if (before.median() != 0) return after.median() / before.median() - 1;
  return after.median() == 0 ? 0 : std::numeric_limits<double>::infinity();
}

std::size_t Comparison::comparable() const {
  return static_cast<std::size_t>(std::ranges::count_if(cells, [](const CellChange& cell) { return first_of(cell); }));
}

std::size_t Comparison::alike() const {
  return static_cast<std::size_t>(std::ranges::count_if(cells, [](const CellChange& cell) {
    const FigureChange* const first = first_of(cell);
    return first != nullptr && first->verdict == ChangeVerdict::Same;
  }));
}

std::size_t Comparison::count(ChangeVerdict verdict) const {
  std::ptrdiff_t count = 0;
  for (const CellChange& cell : cells) count += std::ranges::count(cell.figures, verdict, &FigureChange::verdict);
  return static_cast<std::size_t>(count);
}

Comparison compare(const BenchResult& before, const BenchResult& after, double threshold) {
  Comparison comparison;
  comparison.threshold = threshold;
  comparison.differences = differences_between(before, after);
  std::map<CellKey, const Cell*> left;
  for (const Cell& cell : after.cells) left.emplace(cell.key, &cell);
  for (const Cell& cell : before.cells) {
    const auto other = left.find(cell.key);
    if (other == left.end()) {
      comparison.only_before.push_back(cell.key);
      continue;
    }
    comparison.cells.push_back(change_of(cell, *other->second, threshold));
    left.erase(other);
  }
  for (const auto& [key, cell] : left) comparison.only_after.push_back(key);
  return comparison;
}

std::string to_text(const Comparison& comparison, const std::string& before, const std::string& after) {
  const std::size_t comparable = comparison.comparable();
  const std::size_t worse = comparison.count(ChangeVerdict::Worse);
  const std::size_t better = comparison.count(ChangeVerdict::Better);
  std::string text = one_line(before) + " → " + one_line(after) + ": " + std::to_string(worse) + " worse, " +
                     std::to_string(better) + " better, " + std::to_string(comparison.count(ChangeVerdict::Same)) +
                     " same, " + std::to_string(comparison.count(ChangeVerdict::Unclear)) + " not to be told\n";
  if (comparable == 0) {
    text += "No cell is in both.\n";
  } else {
    text += std::to_string(comparison.alike()) + " of " + std::to_string(comparable) + " cells (" +
            std::to_string(100 * comparison.alike() / comparable) + " %) agree within their spreads.\n";
  }
  for (const std::string& difference : comparison.differences) text += "differs: " + difference + "\n";
  if (worse != 0) text += "\nworse\n" + list_of(comparison, ChangeVerdict::Worse);
  if (better != 0) text += "\nbetter\n" + list_of(comparison, ChangeVerdict::Better);
  if (!comparison.only_before.empty()) text += "\nonly in the first\n" + keys_of(comparison.only_before);
  if (!comparison.only_after.empty()) text += "\nonly in the second\n" + keys_of(comparison.only_after);
  const bool is_marked = std::ranges::any_of(comparison.cells, [](const CellChange& cell) {
    return cell.is_limited_by_generator && std::ranges::any_of(cell.figures, [](const FigureChange& figure) {
             return figure.verdict == ChangeVerdict::Better || figure.verdict == ChangeVerdict::Worse;
           });
  });
  if (is_marked) text += "\n† the load generator was the limit, not the tunnel\n";
  return text;
}

std::string to_json(const Comparison& comparison) {
  json::array cells;
  for (const CellChange& cell : comparison.cells) cells.push_back(cell_value(cell));
  json::array differences;
  for (const std::string& difference : comparison.differences) differences.emplace_back(difference);
  const json::value value = {{"schema", "culvert-bench-comparison"},
                             {"version", 1},
                             {"threshold", comparison.threshold},
                             {"cells_comparable", comparison.comparable()},
                             {"cells_alike", comparison.alike()},
                             {"worse", comparison.count(ChangeVerdict::Worse)},
                             {"better", comparison.count(ChangeVerdict::Better)},
                             {"same", comparison.count(ChangeVerdict::Same)},
                             {"unclear", comparison.count(ChangeVerdict::Unclear)},
                             {"differences", differences},
                             {"only_before", key_values(comparison.only_before)},
                             {"only_after", key_values(comparison.only_after)},
                             {"cells", cells}};
  return json::serialize(value) + "\n";
}

}  // namespace culvert
