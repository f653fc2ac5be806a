// A comparison as people and as programs read it.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cmath>

#include "culvert/bench/comparison.hpp"
#include "culvert/bench/figure_text.hpp"

namespace culvert {
namespace {

namespace json = boost::json;

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

/// Why a build does not fail for what is worse in a cell; empty if it may.
std::string excuse_of(const CellChange& cell) {
  if (cell.key.mode == BenchMode::Uplink) return " (no tunnel)";
  return cell.is_limited_by_generator ? " †" : "";
}

std::string list_of(const Comparison& comparison, ChangeVerdict verdict) {
  std::string text;
  for (const CellChange& cell : comparison.cells) {
    std::string lines;
    for (const FigureChange& figure : cell.figures) {
      if (figure.verdict == verdict) lines += line_of(figure);
    }
    if (!lines.empty()) text += text_of(cell.key) + excuse_of(cell) + "\n" + lines;
  }
  return text;
}

/// Why the comparison ends as it does.
std::string reason_of(const Comparison& comparison) {
  const Alarm alarm = comparison.alarm();
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : "; ") + part; };
  if (alarm.lost != 0) add(counted(alarm.lost, "cell") + " of tunnels lost");
  if (alarm.much_worse != 0) {
    add(std::to_string(alarm.much_worse) + " worse by more than " + short_number(300 * comparison.threshold) + " %");
  }
  const std::string chance =
      " of " + counted(alarm.counted, "cell") + " worse, up to " + std::to_string(alarm.chance) + " may be by chance";
  if (alarm.worse > alarm.chance) add(std::to_string(alarm.worse) + chance);
  if (!text.empty()) return "WORSE: " + text + ".\n";
  if (alarm.worse != 0) return "Not worse than by chance: " + std::to_string(alarm.worse) + chance + ".\n";
  return alarm.counted == 0 ? "No cell of both tells whether something is worse.\n" : "Not worse.\n";
}

/// What is in the list of the worse and is not counted.
std::string footnotes_of(const Comparison& comparison) {
  bool has_excuse = false;
  bool is_limited = false;
  bool has_other_figures = false;
  for (const CellChange& cell : comparison.cells) {
    for (const FigureChange& figure : cell.figures) {
      const bool is_shown = figure.verdict == ChangeVerdict::Better || figure.verdict == ChangeVerdict::Worse;
      has_excuse = has_excuse || (is_shown && cell.key.mode == BenchMode::Uplink);
      is_limited = is_limited || (is_shown && cell.key.mode != BenchMode::Uplink && cell.is_limited_by_generator);
      has_other_figures = has_other_figures ||
                          (figure.verdict == ChangeVerdict::Worse && figure.name != first_figure(cell.key.measure));
    }
  }
  std::string text;
  if (is_limited) text += "† not counted: the load generator may have been the limit rather than the tunnel\n";
  if (has_excuse) text += "The bare uplink is not counted: what changed there is the machine.\n";
  if (has_other_figures) {
    text +=
        "Only throughput, rate and p50 are counted: costs follow from them, and the longest round trips are noise.\n";
  }
  return text.empty() ? "" : "\n" + text;
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
                            {"counted", &figure == cell.first_that_counts()},
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

std::string to_text(const Comparison& comparison, const std::string& before, const std::string& after) {
  const std::size_t comparable = comparison.comparable();
  const std::size_t worse = comparison.count(ChangeVerdict::Worse);
  const std::size_t better = comparison.count(ChangeVerdict::Better);
  std::string text = one_line(before) + " → " + one_line(after) + ": " + std::to_string(worse) + " worse, " +
                     std::to_string(better) + " better, " + std::to_string(comparison.count(ChangeVerdict::Same)) +
                     " same, " + std::to_string(comparison.count(ChangeVerdict::Unclear)) + " not to be told, " +
                     std::to_string(comparison.lost.size()) + " lost\n" + reason_of(comparison);
  if (comparable == 0) {
    text += "No cell is in both.\n";
  } else {
    text += std::to_string(comparison.alike()) + " of " + std::to_string(comparable) + " cells (" +
            std::to_string(100 * comparison.alike() / comparable) + " %) agree within their spreads.\n";
  }
  for (const std::string& difference : comparison.differences) text += "differs: " + difference + "\n";
  if (worse != 0) text += "\nworse\n" + list_of(comparison, ChangeVerdict::Worse);
  if (better != 0) text += "\nbetter\n" + list_of(comparison, ChangeVerdict::Better);
  if (!comparison.lost.empty()) text += "\nlost: in the first only\n" + keys_of(comparison.lost);
  if (!comparison.only_after.empty()) text += "\nonly in the second\n" + keys_of(comparison.only_after);
  return text + footnotes_of(comparison);
}

std::string to_json(const Comparison& comparison) {
  json::array cells;
  for (const CellChange& cell : comparison.cells) cells.push_back(cell_value(cell));
  json::array differences;
  for (const std::string& difference : comparison.differences) differences.emplace_back(difference);
  const Alarm alarm = comparison.alarm();
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
                             {"is_worse", alarm.is_raised()},
                             {"counted",
                              {{"cells", alarm.counted},
                               {"worse", alarm.worse},
                               {"chance", alarm.chance},
                               {"much_worse", alarm.much_worse},
                               {"lost", alarm.lost}}},
                             {"lost", key_values(comparison.lost)},
                             {"only_after", key_values(comparison.only_after)},
                             {"cells", cells}};
  return json::serialize(value) + "\n";
}

}  // namespace culvert
