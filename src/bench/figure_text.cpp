// Units with prefixes, three digits, and safe text.
#include "culvert/bench/figure_text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace culvert {
namespace {

struct Prefix {
  double divisor;
  std::string_view sign;
};
constexpr Prefix prefixes[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}};

/// Bytes of the valid character of UTF-8 that `text` begins with; 0 if there is none.
std::size_t length_of_first(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char first = byte(0);
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xc2 ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Forms that are too long, surrogates, what lies beyond Unicode.
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) || (first == 0xf0 && byte(1) < 0x90) ||
      (first == 0xf4 && byte(1) > 0x8f)) {
    return 0;
  }
  return length;
}

/// Directions of writing and separators of lines steer what is shown, too.
bool steers(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  const auto second = static_cast<unsigned char>(character[1]);
  if (character.size() == 2) return first == 0xc2 && second < 0xa0;
  return (first == 0xe2 && second == 0x80 && static_cast<unsigned char>(character[2]) >= 0xa8 &&
          static_cast<unsigned char>(character[2]) <= 0xae) ||
         (first == 0xe2 && second == 0x81 && static_cast<unsigned char>(character[2]) >= 0xa6 &&
          static_cast<unsigned char>(character[2]) <= 0xa9);
}

}  // namespace

Scale scale_for(double value, std::string_view unit) {
  const double size = std::abs(value);
  if (unit == "share") return {0.01, "%"};
  if (unit == "us") return size < 1000 ? Scale{1, "µs"} : size < 1e6 ? Scale{1e3, "ms"} : Scale{1e6, "s"};
  if (unit == "bit/s" || unit == "packet/s") {
    const std::string suffix(unit == "bit/s" ? "bit/s" : "packet/s");
    for (const auto& [divisor, sign] : prefixes) {
      if (size >= divisor) return {divisor, std::string(sign) + suffix};
    }
    return {1, suffix};
  }
  return {1, std::string(unit)};
}

std::string short_number(double value) {
  const double size = std::abs(value);
  // Where rounding gives one digit more, one less is shown behind the point.
  const int decimals = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
  char text[400];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string with_spread(const Figure& figure, double divisor) {
  return short_number(figure.median() / divisor) + " (" + short_number(figure.least() / divisor) + "–" +
         short_number(figure.most() / divisor) + ")";
}

FigureKind kind_of(std::string_view name) {
  const auto* const kind = std::ranges::find(figure_kinds, name, &FigureKind::name);
  return kind == std::end(figure_kinds) ? FigureKind{name, "", false} : *kind;
}

std::string_view first_figure(Measure measure) {
  switch (measure) {
    case Measure::TcpUp:
    case Measure::TcpDown:
    case Measure::TcpBoth:
      return "throughput";
    case Measure::RateWithoutLoss:
    case Measure::RateAtHalfPercent:
      return "rate";
    case Measure::RoundTripIdle:
    case Measure::RoundTripHalf:
    case Measure::RoundTripFull:
      return "p50";
  }
  return "";
}

std::string counted(std::size_t number, std::string_view what) {
  return std::to_string(number) + " " + std::string(what) + (number == 1 ? "" : "s");
}

std::string text_of(const CellKey& key) {
  std::string text(to_string(key.mode));
  // The bare uplink has neither.
  if (key.mode != BenchMode::Uplink) {
    text += ", " + one_line(key.cipher) + ", offloads " + std::string(to_string(key.offloads));
  }
  return text + ", " + std::to_string(key.packet_size) + " bytes, " + counted(key.queues, "queue") + ", " +
         counted(key.streams, "stream") + ", " + std::string(to_string(key.measure));
}

std::string one_line(std::string_view text) {
  std::string safe;
  while (!text.empty()) {
    const std::size_t length = length_of_first(text);
    const std::string_view first = text.substr(0, std::max<std::size_t>(length, 1));
    if (length == 0 || steers(first)) {
      safe += '?';
    } else {
      safe += first;
    }
    text.remove_prefix(first.size());
  }
  return safe;
}

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }));
}

std::string padded(std::string_view text, std::size_t width, bool is_right) {
  const std::size_t own = width_of(text);
  const std::string space(own < width ? width - own : 0, ' ');
  return is_right ? space + std::string(text) : std::string(text) + space;
}

}  // namespace culvert
