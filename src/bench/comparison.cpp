// Two results against each other.
#include "culvert/bench/comparison.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "culvert/bench/figure_text.hpp"

namespace culvert {
namespace {

bool is_within(double value, const Figure& figure) {
  return figure.least() <= value && value <= figure.most();
}

ChangeVerdict verdict_on(const FigureChange& change, double threshold) {
  // What fails more often than not may well be good in the rounds that are left.
  const bool has_lost_rounds = 2 * change.after.rounds.size() < change.before.rounds.size();
  if (are_alike(change.before, change.after)) return has_lost_rounds ? ChangeVerdict::Unclear : ChangeVerdict::Same;
  if (do_overlap(change.before, change.after) || std::abs(change.change()) <= threshold || change.has_few_rounds()) {
    return ChangeVerdict::Unclear;
  }
  const bool is_more = change.after.median() > change.before.median();
  if (is_more != kind_of(change.name).more_is_better) return ChangeVerdict::Worse;
  return has_lost_rounds ? ChangeVerdict::Unclear : ChangeVerdict::Better;
}

CellChange change_of(const Cell& before, const Cell& after, double threshold) {
  CellChange change{before.key, {}, before.is_limited_by_generator || after.is_limited_by_generator};
  for (const FigureKind& kind : figure_kinds) {
    // What the time is made of is neither good nor bad.
    if (kind.name.starts_with("time_")) continue;
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

using NamedValues = std::vector<std::pair<std::string, std::string>>;

void note_differences(std::vector<std::string>& all, const std::string& what, const NamedValues& before,
                      const NamedValues& after) {
  std::map<std::string, std::pair<std::string, std::string>> values;
  for (const auto& [name, value] : before) values.try_emplace(name, "none", "none").first->second.first = value;
  for (const auto& [name, value] : after) values.try_emplace(name, "none", "none").first->second.second = value;
  for (const auto& [name, both] : values) note_difference(all, what + one_line(name), both.first, both.second);
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
  note_differences(all, "", before.machine.versions, after.machine.versions);
  note_differences(all, "offloads, ", before.machine.offloads, after.machine.offloads);
  return all;
}

bool has_first(const Cell& cell) {
  return cell.figures.contains(std::string(first_figure(cell.key.measure)));
}

bool is_much_worse(const FigureChange& figure, double threshold) {
  const bool is_more = figure.after.median() > figure.before.median();
  const double between =
      is_more ? figure.after.least() - figure.before.most() : figure.before.least() - figure.after.most();
  return figure.verdict == ChangeVerdict::Worse && std::abs(figure.change()) > 3 * threshold &&
         between > threshold * std::abs(figure.before.median());
}

const FigureChange* first_of(const CellChange& cell) {
  const auto found = std::ranges::find(cell.figures, first_figure(cell.key.measure), &FigureChange::name);
  return found == cell.figures.end() ? nullptr : &*found;
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

bool FigureChange::has_few_rounds() const {
  return std::min(before.rounds.size(), after.rounds.size()) < rounds_min;
}

const FigureChange* CellChange::first_that_counts() const {
  const FigureChange* const first = first_of(*this);
  const bool is_of_tunnel = key.mode != BenchMode::Uplink && !is_limited_by_generator;
  return first != nullptr && is_of_tunnel && !first->has_few_rounds() ? first : nullptr;
}

std::size_t worse_by_chance(std::size_t figures) {
  constexpr double share = 1.0 / 252;
  const auto all = static_cast<double>(figures);
  // The binomial distribution's terms, one from the other.
  double term = std::pow(1 - share, all);
  double sum = term;
  std::size_t worse = 0;
  while (sum < 0.99 && worse < figures) {
    term *= (all - static_cast<double>(worse)) / static_cast<double>(worse + 1) * share / (1 - share);
    sum += term;
    ++worse;
  }
  return worse;
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

Alarm Comparison::alarm() const {
  Alarm alarm;
  for (const CellChange& cell : cells) {
    const FigureChange* const first = cell.first_that_counts();
    if (first == nullptr) continue;
    ++alarm.counted;
    alarm.worse += static_cast<std::size_t>(first->verdict == ChangeVerdict::Worse);
    alarm.much_worse += static_cast<std::size_t>(is_much_worse(*first, threshold));
  }
  alarm.chance = worse_by_chance(alarm.counted);
  alarm.lost = static_cast<std::size_t>(
      std::ranges::count_if(lost, [](const CellKey& key) { return key.mode != BenchMode::Uplink; }));
  return alarm;
}

Comparison compare(const BenchResult& before, const BenchResult& after, double threshold) {
  Comparison comparison;
  comparison.threshold = threshold;
  comparison.differences = differences_between(before, after);
  std::map<CellKey, const Cell*> left;
  for (const Cell& cell : after.cells) left.emplace(cell.key, &cell);
  for (const Cell& cell : before.cells) {
    const auto other = left.find(cell.key);
    const bool is_there = other != left.end();
    if (!is_there || (has_first(cell) && !has_first(*other->second))) comparison.lost.push_back(cell.key);
    if (!is_there) continue;
    comparison.cells.push_back(change_of(cell, *other->second, threshold));
    left.erase(other);
  }
  for (const auto& [key, cell] : left) comparison.only_after.push_back(key);
  return comparison;
}

}  // namespace culvert
