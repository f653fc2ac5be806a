// The schema "culvert-bench".
#include "culvert/bench/result_json.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <initializer_list>
#include <limits>
#include <memory>
#include <stdexcept>
#include <system_error>

#include "culvert/bench/figure_text.hpp"

namespace culvert {
namespace {

namespace json = boost::json;

constexpr std::size_t file_max = std::size_t{64} << 20;
/// Nothing that is measured comes near it, and sums of such numbers stay finite.
constexpr double number_max = 1e18;

// To JSON.

json::value figure_value(const Figure& figure) {
  json::array rounds;
  for (const double round : figure.rounds) rounds.emplace_back(round);
  return {{"median", figure.median()},
          {"least", figure.least()},
          {"most", figure.most()},
          {"wide", figure.is_wide()},
          {"rounds", rounds}};
}

json::object figures_object(const std::map<std::string, Figure>& figures) {
  json::object object;
  for (const auto& [name, figure] : figures) {
    Figure finite = figure;
    std::erase_if(finite.rounds, [](double round) { return !std::isfinite(round); });
    if (!finite.rounds.empty()) object[name] = figure_value(finite);
  }
  return object;
}

json::object cell_object(const Cell& cell) {
  const CellKey& key = cell.key;
  json::object drops;
  for (const auto& [reason, count] : cell.drops) drops[reason] = count;
  return {{"mode", to_string(key.mode)},
          {"cipher", key.cipher},
          {"offloads", to_string(key.offloads)},
          {"queues", key.queues},
          {"streams", key.streams},
          {"packet_size", key.packet_size},
          {"measure", to_string(key.measure)},
          {"limited_by_generator", cell.is_limited_by_generator},
          {"figures", figures_object(cell.figures)},
          {"drops", drops}};
}

json::array pairs(const std::vector<std::pair<std::string, std::string>>& all) {
  json::array array;
  for (const auto& [name, value] : all) array.push_back({{"name", name}, {"value", value}});
  return array;
}

json::object machine_object(const Machine& machine) {
  return {{"kernel", machine.kernel},
          {"cpu", machine.cpu},
          {"cpus", machine.cpus},
          {"memory", machine.memory},
          {"virtualization", machine.virtualization},
          {"culvert", machine.culvert},
          {"versions", pairs(machine.versions)},
          {"offloads", pairs(machine.offloads)}};
}

json::object units() {
  json::object object;
  for (const FigureKind& kind : figure_kinds) object[kind.name] = kind.unit;
  return object;
}

// From JSON.

/// A value with the way to it, for messages.
class Place {
 public:
  Place(const json::value& value, std::string way) : value_(&value), way_(std::move(way)) {}

  [[noreturn]] void refuse(const std::string& why) const {
    throw std::runtime_error((way_.empty() ? std::string() : way_ + ": ") + why);
  }
  [[nodiscard]] Place at(std::string_view name) const {
    const json::value* const value = object().if_contains(name);
    if (value == nullptr) refuse("has no field \"" + std::string(name) + "\"");
    return {*value, (way_.empty() ? "" : way_ + ".") + std::string(name)};
  }
  [[nodiscard]] std::vector<Place> elements() const {
    if (!value_->is_array()) refuse("is no array");
    std::vector<Place> places;
    for (const json::value& value : value_->get_array()) {
      places.emplace_back(value, way_ + "[" + std::to_string(places.size()) + "]");
    }
    return places;
  }
  [[nodiscard]] std::vector<std::pair<std::string, Place>> fields() const {
    std::vector<std::pair<std::string, Place>> places;
    for (const auto& [name, value] : object()) {
      places.emplace_back(std::string(name), Place(value, way_ + "." + std::string(name)));
    }
    return places;
  }

  [[nodiscard]] std::string text() const {
    if (!value_->is_string()) refuse("is no text");
    return std::string(value_->get_string());
  }
  [[nodiscard]] bool truth() const {
    if (!value_->is_bool()) refuse("is neither true nor false");
    return value_->get_bool();
  }
  [[nodiscard]] double number() const {
    if (!value_->is_number()) refuse("is no number");
    const auto number = value_->to_number<double>();
    if (!(std::abs(number) <= number_max)) refuse("is too large");
    return number;
  }
  template <class Number>
  [[nodiscard]] Number count() const {
    boost::json::error_code error;
    const auto number = value_->is_number() ? value_->to_number<Number>(error) : Number{};
    if (!value_->is_number() || error) {
      refuse("is no whole number from 0 to " + std::to_string(std::numeric_limits<Number>::max()));
    }
    return number;
  }
  template <class Word>
  [[nodiscard]] Word one_of(std::initializer_list<Word> words) const {
    const std::string given = text();
    std::string known;
    for (const Word word : words) {
      if (to_string(word) == given) return word;
      known += (known.empty() ? "" : ", ") + std::string(to_string(word));
    }
    refuse("is none of " + known);
  }

 private:
  [[nodiscard]] const json::object& object() const {
    if (!value_->is_object()) refuse("is no object");
    return value_->get_object();
  }

  const json::value* value_;
  std::string way_;
};

std::map<std::string, Figure> figures_at(const Place& place) {
  std::map<std::string, Figure> figures;
  for (const auto& [name, value] : place.fields()) {
    if (std::ranges::find(figure_kinds, name, &FigureKind::name) == std::end(figure_kinds) && name != "timestamps") {
      continue;
    }
    Figure figure;
    for (const Place& round : value.at("rounds").elements()) figure.rounds.push_back(round.number());
    if (figure.rounds.empty()) value.refuse("has no rounds");
    figures.emplace(name, std::move(figure));
  }
  return figures;
}

Cell cell_at(const Place& place) {
  Cell cell;
  cell.key.mode = place.at("mode").one_of({BenchMode::Uplink, BenchMode::Tun, BenchMode::Tap, BenchMode::BridgedTap});
  cell.key.cipher = place.at("cipher").text();
  cell.key.offloads =
      place.at("offloads").one_of({OffloadRung::Off, OffloadRung::Udp, OffloadRung::Device, OffloadRung::On});
  cell.key.queues = place.at("queues").count<unsigned>();
  cell.key.streams = place.at("streams").count<unsigned>();
  cell.key.packet_size = place.at("packet_size").count<std::uint32_t>();
  cell.key.measure = place.at("measure").one_of(
      {Measure::TcpUp, Measure::TcpDown, Measure::TcpBoth, Measure::RateWithoutLoss, Measure::RateAtHalfPercent,
       Measure::RoundTripIdle, Measure::RoundTripHalf, Measure::RoundTripFull});
  cell.is_limited_by_generator = place.at("limited_by_generator").truth();
  cell.figures = figures_at(place.at("figures"));
  for (const auto& [reason, count] : place.at("drops").fields()) {
    cell.drops.emplace(reason, count.count<std::uint64_t>());
  }
  return cell;
}

std::vector<std::pair<std::string, std::string>> pairs_at(const Place& place) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const Place& pair : place.elements()) pairs.emplace_back(pair.at("name").text(), pair.at("value").text());
  return pairs;
}

Machine machine_at(const Place& place) {
  Machine machine;
  machine.kernel = place.at("kernel").text();
  machine.cpu = place.at("cpu").text();
  machine.cpus = place.at("cpus").count<unsigned>();
  machine.memory = place.at("memory").count<std::uint64_t>();
  machine.virtualization = place.at("virtualization").text();
  machine.culvert = place.at("culvert").text();
  machine.versions = pairs_at(place.at("versions"));
  machine.offloads = pairs_at(place.at("offloads"));
  return machine;
}

std::uint64_t seed_at(const Place& place) {
  const std::string text = place.text();
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) place.refuse("is no decimal number");
  return seed;
}

BenchResult result_at(const Place& place) {
  if (place.at("schema").text() != result_schema) place.at("schema").refuse("is not \"culvert-bench\"");
  const Place version = place.at("version");
  if (version.count<unsigned>() != result_schema_version) {
    version.refuse("is not " + std::to_string(result_schema_version) + ", which this culvert reads");
  }
  BenchResult result;
  result.kind = place.at("kind").text();
  result.rounds = place.at("rounds").count<unsigned>();
  result.seed = seed_at(place.at("seed"));
  result.seconds = place.at("seconds").number();
  result.machine = machine_at(place.at("machine"));
  for (const Place& cell : place.at("cells").elements()) result.cells.push_back(cell_at(cell));
  std::ranges::sort(result.cells, {}, &Cell::key);
  if (std::ranges::adjacent_find(result.cells, {}, &Cell::key) != result.cells.end()) {
    place.at("cells").refuse("has the same cell twice");
  }
  result.generator = figures_at(place.at("generator"));
  for (const Place& note : place.at("notes").elements()) result.notes.push_back(note.text());
  return result;
}

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

std::string text_of_file(const std::string& path) {
  const std::string what = "reading a benchmark's result from " + path;
  const std::unique_ptr<std::FILE, FileCloser> file(std::fopen(path.c_str(), "re"));
  if (!file) throw std::system_error(errno, std::system_category(), what);
  std::string text;
  char piece[65536];
  while (const std::size_t size = std::fread(piece, 1, sizeof piece, file.get())) {
    text.append(piece, size);
    if (text.size() > file_max) throw std::runtime_error(what + ": it is larger than 64 MiB");
  }
  if (std::ferror(file.get()) != 0) throw std::system_error(errno, std::system_category(), what);
  return text;
}

}  // namespace

std::string to_json(const BenchResult& result) {
  json::array notes;
  for (const std::string& note : result.notes) notes.emplace_back(note);
  std::string text = "{\n";
  const auto field = [&](std::string_view name, const json::value& value) {
    text += json::serialize(json::string(name)) + ": " + json::serialize(value) + ",\n";
  };
  field("schema", json::value(result_schema));
  field("version", result_schema_version);
  field("kind", json::value(result.kind));
  field("rounds", result.rounds);
  // Not a number: that would lose digits in most readers.
  field("seed", json::value(std::to_string(result.seed)));
  field("seconds", result.seconds);
  field("machine", machine_object(result.machine));
  field("units", units());
  field("generator", figures_object(result.generator));
  field("notes", notes);
  text += "\"cells\": [";
  std::string_view before = "\n";
  for (const Cell& cell : result.cells) {
    text += before;
    text += json::serialize(cell_object(cell));
    before = ",\n";
  }
  return text + "\n]\n}\n";
}

BenchResult result_of_json(std::string_view text, const std::string& source) {
  const std::string what = "reading a benchmark's result from " + source + ": ";
  boost::json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error) throw std::runtime_error(what + "it is no JSON (" + error.message() + ")");
  try {
    return result_at(Place(value, ""));
  } catch (const std::runtime_error& refused) {
    // Names of fields are the file's.
    throw std::runtime_error(what + "it is no result of culvert bench: " + one_line(refused.what()));
  }
}

BenchResult read_result(const std::string& path) {
  return result_of_json(text_of_file(path), path);
}

}  // namespace culvert
