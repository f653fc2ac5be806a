// Numbers, cells and foreign text as people read them. UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "culvert/bench/result.hpp"

namespace culvert {

/// A unit with its prefix, and what numbers are divided by for it.
struct Scale {
  double divisor = 1;
  std::string unit;
};

/// For numbers about as large as `value`, in one of figure_kinds' units: bit/s to Gbit/s, us to µs or ms, share to %.
[[nodiscard]] Scale scale_for(double value, std::string_view unit);
/// Three significant digits, never with an exponent: "9.42", "94.2", "942", "9420".
[[nodiscard]] std::string short_number(double value);
/// "9.42 (9.10–9.61)", without the unit.
[[nodiscard]] std::string with_spread(const Figure& figure, double divisor);

/// The kind of that name; one without unit if there is none.
[[nodiscard]] FigureKind kind_of(std::string_view name);
/// The figure that a measure is about: "throughput", "rate", "p50".
[[nodiscard]] std::string_view first_figure(Measure measure);

/// "1 round", "2 rounds".
[[nodiscard]] std::string counted(std::size_t number, std::string_view what);
/// "tun, chacha20-poly1305, offloads on, 1420 bytes, 1 queue, 1 stream, tcp-up".
[[nodiscard]] std::string text_of(const CellKey& key);

/// `text` on one line and without what steers a terminal: control characters and what is no UTF-8 become "?".
[[nodiscard]] std::string one_line(std::string_view text);
/// Characters of UTF-8 without wide ones.
[[nodiscard]] std::size_t width_of(std::string_view text);
/// `text` with spaces up to `width`: behind it, or before it.
[[nodiscard]] std::string padded(std::string_view text, std::size_t width, bool is_right = false);

}  // namespace culvert
