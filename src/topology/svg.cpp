// A topology as an SVG document (SVG 1.1, styled by a style sheet of its own).
#include <array>
#include <cmath>
#include <cstdio>

#include "culvert/topology/render.hpp"
#include "drawing.hpp"

namespace culvert::topology {

namespace {

constexpr std::string_view font = "\"DejaVu Sans Mono\",Menlo,Consolas,\"Liberation Mono\",\"Courier New\",monospace";

constexpr std::string_view shapes =
    "text{white-space:pre}"
    ".heading,.title,.name{font-weight:bold}"
    ".wire,.halo,.bracket,.port{fill:none;stroke-linejoin:round;stroke-linecap:round}"
    ".wire{stroke-width:1.8}.halo{stroke-width:5.4}.bracket{stroke-width:1.2}"
    ".parent{stroke-dasharray:7 4}.peer-wire{stroke-dasharray:2 4;stroke-width:2.2}"
    ".socket{stroke-dasharray:9 3 2 3}"
    ".closed{stroke-dasharray:5 4}";

/// One color scheme; `{` and `}` of rules follow each selector.
struct Scheme {
  const char *ground, *box, *head, *own_head, *edge, *own_edge, *text, *muted, *up, *waiting, *down;
  std::array<const char*, hue_count> hues;
};

constexpr Scheme light{
    "#f6f7f9", "#ffffff", "#eceff4",
    "#dbe9fb", "#c3cad6", "#5b8fd6",
    "#1c2330", "#5d6778", "#1b7f3b",
    "#a06000", "#b3261e", {"#1f6fd1", "#c2410c", "#0f8a6a", "#8e3bb8", "#a67c00", "#c02672", "#3d7d12", "#475a8f"}};
constexpr Scheme dark{
    "#12161c", "#1b212b", "#262e3b",
    "#1f3a5f", "#3b4656", "#5b93dd",
    "#e6eaf0", "#9aa6b8", "#57c878",
    "#e0a13a", "#ff7d73", {"#6cabf7", "#f59a62", "#45cba6", "#c98bea", "#dcb741", "#f27fb4", "#94cf5c", "#a3b2e6"}};

std::string rules_of(const Scheme& scheme) {
  std::string rules;
  const auto fill = [&](std::string_view selector, std::string_view color) {
    rules.append(selector).append("{fill:").append(color).append("}");
  };
  const auto stroke = [&](std::string_view selector, std::string_view color) {
    rules.append(selector).append("{stroke:").append(color).append("}");
  };
  fill(".ground", scheme.ground);
  fill(".box", scheme.box);
  fill(".box-head", scheme.head);
  fill(".own-head", scheme.own_head);
  stroke(".frame", scheme.edge);
  stroke(".own", scheme.own_edge);
  fill(".heading,.title,.name,.peer", scheme.text);
  fill(".head,.kind,.detail", scheme.muted);
  fill(".up", scheme.up);
  fill(".waiting", scheme.waiting);
  fill(".down,.problem", scheme.down);
  stroke(".bracket", scheme.edge);
  stroke(".halo", scheme.ground);
  for (std::size_t hue = 0; hue < hue_count; ++hue) {
    const std::string name = std::to_string(hue);
    stroke(".w" + name, scheme.hues[hue]);
    fill(".p" + name, scheme.hues[hue]);
  }
  return rules;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// With one decimal, as few characters as that takes, whatever the locale.
std::string number(double value) {
  const long tenths = std::lround(value * 10);
  const std::string sign = tenths < 0 ? "-" : "";
  const std::string whole = std::to_string(std::labs(tenths) / 10);
  const long rest = std::labs(tenths) % 10;
  return sign + whole + (rest == 0 ? "" : "." + std::to_string(rest));
}

std::string point(Point at) {
  return number(at.x) + " " + number(at.y);
}

/// Straight pieces with rounded corners.
std::string path(const std::vector<Point>& all) {
  constexpr double radius = 6;
  std::vector<Point> points;
  for (const Point& each : all) {
    const bool is_same = !points.empty() && points.back().x == each.x && points.back().y == each.y;
    if (!is_same) points.push_back(each);
  }
  std::string text = "M" + point(points.front());
  const auto towards = [](Point from, Point to, double distance) {
    const double length = std::hypot(to.x - from.x, to.y - from.y);
    const double share = length == 0 ? 0 : std::min(distance, length / 2) / length;
    return Point{from.x + (to.x - from.x) * share, from.y + (to.y - from.y) * share};
  };
  for (std::size_t i = 1; i + 1 < points.size(); ++i) {
    text += "L" + point(towards(points[i], points[i - 1], radius)) + "Q" + point(points[i]) + " " +
            point(towards(points[i], points[i + 1], radius));
  }
  return text + "L" + point(points.back());
}

std::string class_of(EdgeKind kind) {
  switch (kind) {
    case EdgeKind::Parent:
      return "wire parent";
    case EdgeKind::Peer:
      return "wire peer-wire";
    case EdgeKind::Socket:
      return "wire socket";
    case EdgeKind::Veth:
    case EdgeKind::Port:
      break;
  }
  return "wire";
}

class Document {
 public:
  std::string write(const Drawing& drawing, std::string_view title) {
    const std::string size = number(drawing.width) + "\" height=\"" + number(drawing.height);
    text_ += "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + size + "\" viewBox=\"0 0 " + number(drawing.width) +
             " " + number(drawing.height) + "\" font-family='" + std::string(font) + "'>\n<title>" + escaped(title) +
             "</title>\n<style>" + std::string(shapes) + rules_of(light) + "@media (prefers-color-scheme:dark){" +
             rules_of(dark) + "}</style>\n<rect class=\"ground\" width=\"" + size + "\"/>\n";
    for (const Wire& wire : drawing.wires) write(wire);
    for (const Box& box : drawing.boxes) write(box);
    for (const Wire& wire : drawing.wires) {
      for (const Point& end : {wire.points.front(), wire.points.back()}) dot(end, "p" + std::to_string(wire.hue), 3.2);
    }
    for (const Bracket& bracket : drawing.brackets) {
      text_ += "<path class=\"bracket\" d=\"" + path(bracket.points) + "\"/>\n";
    }
    for (const Dot& each : drawing.dots) dot(each.center, each.style, 3.6);
    for (const Label& label : drawing.labels) {
      text_ += "<text class=\"" + std::string(label.style) + "\" x=\"" + number(label.start.x) + "\" y=\"" +
               number(label.start.y) + "\" font-size=\"" + number(label.size) + "\">" + escaped(label.text) +
               "</text>\n";
    }
    for (const Wire& sample : drawing.samples) write(sample);
    return std::move(text_) + "</svg>\n";
  }

 private:
  void dot(Point center, std::string_view style, double radius) {
    text_ += "<circle class=\"" + std::string(style) + "\" cx=\"" + number(center.x) + "\" cy=\"" + number(center.y) +
             "\" r=\"" + number(radius) + "\"/>\n";
  }

  void write(const Wire& wire) {
    const std::string along = "d=\"" + path(wire.points) + "\"";
    text_ += "<g><title>" + escaped(wire.title) + "</title><path class=\"halo\" " + along + "/><path class=\"" +
             class_of(wire.kind) + " w" + std::to_string(wire.hue) + "\" " + along + "/></g>\n";
  }

  void write(const Box& box) {
    const bool is_own = box.style == "own";
    const std::string place = "x=\"" + number(box.area.x) + "\" y=\"" + number(box.area.y) + "\" width=\"" +
                              number(box.area.width) + "\" rx=\"7\"";
    const std::string height = " height=\"" + number(box.area.height) + "\"";
    text_ += "<g><title>" + escaped(box.title) + "</title><rect class=\"box\" " + place + height + "/>";
    // Round above, straight below.
    text_ += "<path class=\"" + std::string(is_own ? "own-head" : "box-head") + "\" d=\"M" +
             point({box.area.x, box.area.y + box.head_height}) + "v" + number(7 - box.head_height) + "q0 -7 7 -7h" +
             number(box.area.width - 14) + "q7 0 7 7v" + number(box.head_height - 7) + "z\"/>";
    text_ += "<rect class=\"frame " + std::string(box.style) + "\" fill=\"none\" stroke-width=\"" +
             (is_own ? "2" : "1.2") + "\" " + place + height + "/></g>\n";
  }

  std::string text_;
};

}  // namespace

std::string to_svg(const Topology& topology) {
  return Document().write(draw(topology), "Network namespaces and what joins them");
}

}  // namespace culvert::topology
