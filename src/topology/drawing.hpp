// Where everything in the drawing of a topology lies, in pixels from the upper left corner; how it is written down is
// SVG's matter.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "culvert/topology/topology.hpp"

namespace culvert::topology {

struct Point {
  double x = 0;
  double y = 0;
};

struct Area {
  double x = 0, y = 0, width = 0, height = 0;
  [[nodiscard]] bool overlaps(const Area& other) const {
    return x < other.x + other.width && other.x < x + width && y < other.y + other.height && other.y < y + height;
  }
  [[nodiscard]] bool contains(const Area& other) const {
    return x <= other.x && y <= other.y && other.x + other.width <= x + width && other.y + other.height <= y + height;
  }
};

/// A line of text in a fixed-width font. The classes here and below are those of the style sheet.
struct Label {
  Point start;  ///< on the base line
  double size = 0;
  std::string text;
  std::string_view style;
};

/// At least as wide as any usual fixed-width font draws it: DejaVu, Liberation, Menlo, Consolas and Courier need 0.60
/// of the size.
[[nodiscard]] double width_of(std::string_view text, double size);
[[nodiscard]] Area area_of(const Label& label);

/// The box of a namespace.
struct Box {
  Area area;
  double head_height = 0;
  std::string_view style;
  std::string title;  ///< shown when pointed at
};

/// A link's state.
struct Dot {
  Point center;
  std::string_view style;
};

/// Joins ports with their bridge and peers with their tunnel within a box.
struct Bracket {
  std::vector<Point> points;
};

/// From box to box, only horizontal and vertical.
struct Wire {
  EdgeKind kind = EdgeKind::Veth;
  std::size_t hue = 0;
  std::vector<Point> points;
  std::string title;
};

struct Drawing {
  double width = 0, height = 0;
  std::vector<Box> boxes;
  std::vector<Bracket> brackets;
  std::vector<Dot> dots;
  std::vector<Label> labels;
  std::vector<Wire> wires;
  std::vector<Wire> samples;  ///< of the legend
};

inline constexpr std::size_t hue_count = 8;

[[nodiscard]] Drawing draw(const Topology& topology);

}  // namespace culvert::topology
