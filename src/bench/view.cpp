// Pictures and tables, one after another.
#include "culvert/bench/view.hpp"

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <set>

#include "cell_chooser.hpp"

namespace culvert {
namespace {

/// In the order of columns.
constexpr BenchMode modes[] = {BenchMode::Tun, BenchMode::Tap, BenchMode::BridgedTap, BenchMode::Uplink};

/// What a row shows: a figure of the cells that have this key but for their mode.
struct Row {
  std::string label;
  CellKey key;
  std::string figure;
  double factor = 1;  ///< that numbers are multiplied by
};

std::string bytes(std::uint32_t size) {
  return std::to_string(size) + " bytes";
}

std::string words(Measure measure) {
  switch (measure) {
    case Measure::TcpUp:
      return "up";
    case Measure::TcpDown:
      return "down";
    case Measure::TcpBoth:
      return "both ways";
    case Measure::RateWithoutLoss:
      return "no loss";
    case Measure::RateAtHalfPercent:
      return "0.5 % loss";
    case Measure::RoundTripIdle:
      return "idle";
    case Measure::RoundTripHalf:
      return "half load";
    case Measure::RoundTripFull:
      return "full load";
  }
  return "";
}

std::string about(const CellKey& key, bool has_cipher, bool has_size, bool has_streams = true) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (has_cipher) add(one_line(key.cipher));
  if (key.offloads != OffloadRung::On) add("offloads " + std::string(to_string(key.offloads)));
  if (has_size) add(bytes(key.packet_size));
  if (has_streams && is_tcp(key.measure)) add(counted(key.streams, "stream"));
  if (key.queues != 1) add(counted(key.queues, "queue"));
  return text;
}

std::string slug(std::string_view text) {
  std::string id;
  for (char letter : text) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    id += (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') ? letter : '-';
  }
  return id;
}

/// Views of one result, one after another.
class Maker {
 public:
  explicit Maker(const BenchResult& result) : chooser_(result), result_(result) {}

  Views make() {
    views_.is_of_one_tunnel = result_.kind == "peer";
    if (views_.is_of_one_tunnel) {
      summarize("throughput", {Measure::TcpUp, Measure::TcpDown}, "throughput");
      summarize("packet rate", {Measure::RateWithoutLoss, Measure::RateAtHalfPercent}, "rate");
      summarize("latency", {Measure::RoundTripIdle, Measure::RoundTripFull}, "p50");
    }
    duel("throughput", Measure::TcpUp, "throughput");
    duel("packet rate", Measure::RateWithoutLoss, "rate");
    duel("latency", Measure::RoundTripIdle, "p50");
    duel("CPU", Measure::TcpUp, "cpu_per_gib");
    topic("Throughput", "Neither TCP nor UDP's highest rates were measured.", [&] { throughput(); });
    topic("Packet rate", "The highest rates without loss were not searched.", [&] { rate(); });
    topic("Latency", "Round trips were not measured.", [&] { latency(); });
    topic("Processor time", "The engines' processor time was not measured: that needs both ends at hand.",
          [&] { processor(); });
    topic("Where the time goes", "What the processor time is spent on was not measured.", [&] { time(); });
    topic("The ladder of offloads", "Only one setting of offloads was measured.", [&] { ladder(); });
    return std::move(views_);
  }

 private:
  void topic(const std::string& name, const std::string& why, const std::function<void()>& add_views) {
    const std::size_t before = views_.views.size();
    topic_ = name;
    add_views();
    if (views_.views.size() == before) views_.missing.push_back({name, why});
  }

  void duel(const std::string& name, Measure measure, std::string_view figure) {
    const auto key = chooser_.usual(measure, figure);
    if (!key) return;
    Duel duel{name, kind_of(figure), chooser_.point(*key, BenchMode::Tun, figure),
              chooser_.point(*key, BenchMode::Tap, figure),
              name + ": " + (is_tcp(measure) ? "TCP " : "") + words(measure) + ", " + about(*key, true, true)};
    if (duel.tun.cell != nullptr && duel.tap.cell != nullptr) views_.duels.push_back(std::move(duel));
  }

  void summarize(const std::string& name, std::initializer_list<Measure> measures, std::string_view figure) {
    Summary summary{name, kind_of(figure), {}, ""};
    for (const Measure measure : measures) {
      const auto key = chooser_.usual(measure, figure);
      if (!key) continue;
      if (summary.points.empty()) summary.about = name + ": " + about(*key, true, true);
      summary.points.emplace_back(words(measure), chooser_.point(*key, key->mode, figure));
    }
    if (!summary.points.empty()) views_.summary.push_back(std::move(summary));
  }

  void add(View view, const std::vector<Row>& rows, bool has_uplink = true) {
    view.topic = topic_;
    for (const BenchMode mode : modes) {
      if (mode == BenchMode::Uplink && !has_uplink) continue;
      if (std::ranges::any_of(rows, [&](const Row& row) { return chooser_.point(row.key, mode, row.figure).cell; })) {
        view.columns.push_back(mode);
      }
    }
    for (const Row& row : rows) {
      std::vector<ViewPoint> points;
      for (const BenchMode mode : view.columns) {
        points.push_back(scaled(chooser_.point(row.key, mode, row.figure), row.factor));
      }
      view.rows.push_back(row.label);
      view.points.push_back(std::move(points));
    }
    if (!view.columns.empty()) views_.views.push_back(std::move(view));
  }

  ViewPoint scaled(ViewPoint point, double factor) {
    if (point.figure == nullptr || factor == 1) return point;
    Figure figure = *point.figure;
    for (double& round : figure.rounds) round *= factor;
    views_.derived.push_back(std::move(figure));
    point.figure = &views_.derived.back();
    return point;
  }

  /// Along the sizes of packets, one view for each cipher that has some.
  /// `as_bits`: packets a second as the bits of their IP packets.
  void by_size(const std::string& name, Measure measure, const char* figure, bool as_bits = false) {
    const auto base = chooser_.usual(measure, figure);
    if (!base) return;
    for (const std::string& cipher : ciphers(*base, figure)) {
      CellKey key = *base;
      key.cipher = cipher;
      std::vector<Row> rows;
      for (const std::uint32_t size : sizes(key, figure)) {
        key.packet_size = size;
        rows.push_back({std::to_string(size), key, figure, as_bits ? size * 8.0 : 1.0});
      }
      if (rows.size() < 2) continue;
      View view;
      view.id = slug(name) + "-by-size-" + slug(cipher);
      view.title = name + " by packet size";
      view.about = about(key, true, false);
      view.shape = View::Shape::Lines;
      view.kind = kind_of(as_bits ? "throughput" : figure);
      // From 64 to 8920 bytes it grows by two orders of magnitude.
      view.is_logarithmic = as_bits;
      view.row_name = "packet size, bytes";
      add(std::move(view), rows);
    }
  }

  void by_cipher(const std::string& name, Measure measure, const char* figure, bool has_uplink) {
    const auto base = chooser_.usual(measure, figure);
    if (!base) return;
    std::vector<Row> rows;
    for (const std::string& cipher : ciphers(*base, figure)) {
      CellKey key = *base;
      key.cipher = cipher;
      rows.push_back({one_line(cipher), key, figure});
    }
    View view;
    view.id = slug(name) + "-by-cipher";
    view.title = name + " by cipher";
    view.about = about(*base, false, true);
    view.kind = kind_of(figure);
    view.row_name = "cipher";
    add(std::move(view), rows, has_uplink);
  }

  void throughput() {
    by_size("Throughput of UDP without loss", Measure::RateWithoutLoss, "rate", true);
    by_cipher("Throughput of TCP", Measure::TcpUp, "throughput", true);
    by_size("Throughput of TCP", Measure::TcpUp, "throughput");
    const auto base = chooser_.usual(Measure::TcpUp, "throughput");
    if (!base) return;
    std::vector<Row> rows;
    CellKey key = *base;
    for (const unsigned queues : chooser_.values(*base, &CellKey::queues, "throughput")) {
      key.queues = queues;
      for (const unsigned streams : stream_counts(key)) {
        key.streams = streams;
        for (const Measure measure : {Measure::TcpUp, Measure::TcpDown, Measure::TcpBoth}) {
          key.measure = measure;
          if (!is_measured(key, "throughput")) continue;
          rows.push_back({words(measure) + ", " + counted(streams, "stream") +
                              (queues == base->queues ? "" : ", " + counted(queues, "queue")),
                          key, "throughput"});
        }
      }
    }
    if (rows.size() < 2) return;
    View view;
    view.id = "throughput-of-tcp-by-direction";
    view.title = "Throughput of TCP by direction and number of streams";
    view.about = about(*base, true, true, false);
    view.kind = kind_of("throughput");
    view.row_name = "direction, streams";
    add(std::move(view), rows);
  }

  void rate() {
    by_cipher("Packet rate without loss", Measure::RateWithoutLoss, "rate", true);
    by_size("Packet rate without loss", Measure::RateWithoutLoss, "rate");
    by_size("Packet rate at 0.5 % loss", Measure::RateAtHalfPercent, "rate");
  }

  void latency() {
    std::vector<Row> rows;
    std::optional<CellKey> first;
    for (const Measure measure : {Measure::RoundTripIdle, Measure::RoundTripHalf, Measure::RoundTripFull}) {
      const auto key = chooser_.usual(measure, "p50");
      if (!key) continue;
      if (!first) first = key;
      for (const auto& [figure, name] :
           {std::pair("p50", "p50"), std::pair("p99", "p99"), std::pair("p99_9", "p99.9")}) {
        if (is_measured(*key, figure)) rows.push_back({words(measure) + ", " + name, *key, figure});
      }
    }
    if (!first) return;
    View view;
    view.id = "latency";
    view.title = "Round-trip times";
    view.about = about(*first, true, true);
    view.kind = kind_of("p50");
    view.is_logarithmic = true;
    view.row_name = "load, percentile";
    add(std::move(view), rows);
  }

  void processor() {
    by_cipher("Processor time per GiB of TCP", Measure::TcpUp, "cpu_per_gib", false);
    by_cipher("Processor time per million packets", Measure::RateWithoutLoss, "cpu_per_mpacket", false);
    by_size("Processor time per million packets", Measure::RateWithoutLoss, "cpu_per_mpacket");
    by_cipher("System calls per packet of TCP", Measure::TcpUp, "system_calls", false);
    by_size("System calls per packet", Measure::RateWithoutLoss, "system_calls");
  }

  void time() {
    for (const Measure measure : {Measure::TcpUp, Measure::RateWithoutLoss}) {
      const auto base = chooser_.usual(measure, "time_engine");
      if (!base) continue;
      std::vector<Row> rows;
      for (const auto& [figure, name] :
           {std::pair("time_crypto", "crypto"), std::pair("time_engine", "engine"),
            std::pair("time_copies", "copies in the kernel"), std::pair("time_kernel", "the kernel otherwise")}) {
        if (is_measured(*base, figure)) rows.push_back({name, *base, figure});
      }
      View view;
      view.id = std::string("time-") + (is_tcp(measure) ? "tcp" : "packets");
      view.title = std::string("What the engines' processor time is spent on, ") +
                   (is_tcp(measure) ? "TCP" : "single packets without loss");
      view.about = about(*base, true, true);
      view.shape = View::Shape::Stacked;
      view.kind = kind_of("time_engine");
      view.row_name = "spent on";
      add(std::move(view), rows, false);
    }
  }

  void ladder() {
    for (const auto& [measure, figure] :
         {std::pair(Measure::TcpUp, "throughput"), std::pair(Measure::RateWithoutLoss, "rate")}) {
      // The rungs need not have been measured of what stands for the measure otherwise.
      std::optional<CellKey> base;
      std::size_t most = 1;
      for (const Cell& cell : result_.cells) {
        if (cell.key.measure != measure || cell.key.mode == BenchMode::Uplink || !figure_of(cell, figure)) continue;
        CellKey key = cell.key;
        key.offloads = OffloadRung::On;
        const std::size_t rungs = chooser_.values(key, &CellKey::offloads, figure).size();
        if (rungs > most || (base && rungs == most && is_more_usual(key, *base))) {
          most = rungs;
          base = key;
        }
      }
      if (!base) continue;
      std::vector<Row> rows;
      for (const OffloadRung rung : chooser_.values(*base, &CellKey::offloads, figure)) {
        CellKey key = *base;
        key.offloads = rung;
        constexpr const char* names[] = {"off", "UDP only", "device only", "on"};
        rows.push_back({names[static_cast<std::size_t>(rung)], key, figure});
      }
      View view;
      view.id = std::string("offloads-") + figure;
      view.title = is_tcp(measure) ? "Throughput of TCP by offloads" : "Packet rate without loss by offloads";
      view.about = about(*base, true, true);
      view.kind = kind_of(figure);
      view.row_name = "offloads";
      add(std::move(view), rows, false);
    }
  }

  [[nodiscard]] bool is_measured(const CellKey& key, std::string_view figure) const {
    return std::ranges::any_of(modes, [&](BenchMode mode) { return chooser_.point(key, mode, figure).cell; });
  }

  /// The usual one first.
  [[nodiscard]] std::vector<std::string> ciphers(const CellKey& base, std::string_view figure) const {
    std::vector<std::string> all = chooser_.values(base, &CellKey::cipher, figure);
    std::ranges::sort(all, {},
                      [](const std::string& cipher) { return std::make_pair(cipher != usual_cipher, cipher); });
    return all;
  }

  [[nodiscard]] std::vector<std::uint32_t> sizes(const CellKey& base, std::string_view figure) const {
    return chooser_.values(base, &CellKey::packet_size, figure);
  }

  /// Those of any direction.
  [[nodiscard]] std::vector<unsigned> stream_counts(CellKey key) const {
    std::set<unsigned> all;
    for (const Measure measure : {Measure::TcpUp, Measure::TcpDown, Measure::TcpBoth}) {
      key.measure = measure;
      for (const unsigned streams : chooser_.values(key, &CellKey::streams, "throughput")) all.insert(streams);
    }
    return {all.begin(), all.end()};
  }

  CellChooser chooser_;
  const BenchResult& result_;
  std::string topic_;
  Views views_;
};

}  // namespace

Scale View::scale() const {
  double least = std::numeric_limits<double>::max();
  double most = 0;
  for (const auto& row : points) {
    for (const ViewPoint& point : row) {
      // The bare uplink is there for comparison, and an order of magnitude faster.
      if (point.figure == nullptr || (point.cell->key.mode == BenchMode::Uplink && columns.size() > 1)) continue;
      least = std::min(least, point.figure->median());
      most = std::max(most, point.figure->median());
    }
  }
  // Round trips are orders of magnitude apart, and the short ones keep their digits.
  return scale_for(kind.unit == "us" ? least : most, kind.unit);
}

Views views_of(const BenchResult& result) {
  return Maker(result).make();
}

std::string signs_of(const ViewPoint& point) {
  if (point.cell == nullptr) return "";
  // On the bare uplink there is nothing else that could be the limit.
  const bool is_limited = point.cell->is_limited_by_generator && point.cell->key.mode != BenchMode::Uplink;
  return std::string(is_limited ? "†" : "") + (point.figure->is_wide() ? "‡" : "");
}

}  // namespace culvert
