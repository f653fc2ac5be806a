// Where things lie in the drawing.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

#include "../../../src/topology/drawing.hpp"
#include "scenes.hpp"

namespace culvert::topology::test {
namespace {

std::string numbered(const char* start, std::size_t number) {
  return std::string(start).append(std::to_string(number));
}

void expect_no_labels_overlap(const Drawing& drawing) {
  for (std::size_t a = 0; a < drawing.labels.size(); ++a) {
    for (std::size_t b = a + 1; b < drawing.labels.size(); ++b) {
      EXPECT_FALSE(area_of(drawing.labels[a]).overlaps(area_of(drawing.labels[b])))
          << drawing.labels[a].text << " and " << drawing.labels[b].text;
    }
  }
}

void expect_all_is_within(const Drawing& drawing) {
  const Area all{0, 0, drawing.width, drawing.height};
  for (const Label& label : drawing.labels) EXPECT_TRUE(all.contains(area_of(label))) << label.text;
  for (const Box& box : drawing.boxes) EXPECT_TRUE(all.contains(box.area)) << box.title;
  for (const Wire& wire : drawing.wires) {
    for (const Point& point : wire.points) EXPECT_TRUE(all.contains({point.x, point.y, 0, 0})) << wire.title;
  }
}

void expect_boxes_hold_their_labels_and_stand_apart(const Drawing& drawing) {
  for (const Box& box : drawing.boxes) {
    for (const Label& label : drawing.labels) {
      const Area area = area_of(label);
      EXPECT_TRUE(!box.area.overlaps(area) || box.area.contains(area)) << label.text << " leaves " << box.title;
    }
    for (const Box& other : drawing.boxes) {
      EXPECT_TRUE(&box == &other || !box.area.overlaps(other.area)) << box.title << " and " << other.title;
    }
  }
}

/// Each piece as a thin area.
std::vector<Area> pieces_of(const Wire& wire) {
  std::vector<Area> pieces;
  for (std::size_t i = 0; i + 1 < wire.points.size(); ++i) {
    const Point a = wire.points[i];
    const Point b = wire.points[i + 1];
    EXPECT_TRUE(a.x == b.x || a.y == b.y) << wire.title << " is neither horizontal nor vertical";
    pieces.push_back({std::min(a.x, b.x), std::min(a.y, b.y), std::abs(a.x - b.x), std::abs(a.y - b.y)});
  }
  return pieces;
}

void expect_wires_keep_off_boxes(const Drawing& drawing) {
  for (const Wire& wire : drawing.wires) {
    for (const Area& piece : pieces_of(wire)) {
      for (const Box& box : drawing.boxes) {
        EXPECT_FALSE(piece.overlaps(box.area)) << wire.title << " runs through " << box.title;
      }
    }
  }
}

bool begin_together(const Wire& a, const Wire& b) {
  const auto is_same = [](Point p, Point q) { return p.x == q.x && p.y == q.y; };
  return is_same(a.points.front(), b.points.front()) || is_same(a.points.front(), b.points.back()) ||
         is_same(a.points.back(), b.points.front()) || is_same(a.points.back(), b.points.back());
}

/// Two lines that do not belong together may cross, not run on top of each other or so near that they look like one.
void expect_wires_do_not_run_on_each_other(const Drawing& drawing) {
  constexpr double least = 2.9;
  for (std::size_t a = 0; a < drawing.wires.size(); ++a) {
    for (std::size_t b = a + 1; b < drawing.wires.size(); ++b) {
      if (begin_together(drawing.wires[a], drawing.wires[b])) continue;
      for (const Area& p : pieces_of(drawing.wires[a])) {
        for (const Area& q : pieces_of(drawing.wires[b])) {
          const double across = std::min(p.x + p.width, q.x + q.width) - std::max(p.x, q.x);
          const double down = std::min(p.y + p.height, q.y + q.height) - std::max(p.y, q.y);
          const bool is_on_top = (across > 0 && down > -least && p.height == 0 && q.height == 0) ||
                                 (down > 0 && across > -least && p.width == 0 && q.width == 0);
          EXPECT_FALSE(is_on_top) << drawing.wires[a].title << " on " << drawing.wires[b].title;
        }
      }
    }
  }
}

void expect_readable(const Topology& topology) {
  const Drawing drawing = draw(topology);
  EXPECT_EQ(drawing.boxes.size(), topology.namespaces.size());
  expect_no_labels_overlap(drawing);
  expect_all_is_within(drawing);
  expect_boxes_hold_their_labels_and_stand_apart(drawing);
  expect_wires_keep_off_boxes(drawing);
  expect_wires_do_not_run_on_each_other(drawing);
}

TEST(Draw, one_namespace_is_readable) {
  expect_readable(one_namespace());
}

TEST(Draw, three_namespaces_at_a_bridge_are_readable) {
  expect_readable(three_by_a_bridge());
}

TEST(Draw, ten_namespaces_with_forty_links_are_readable) {
  const Topology topology = large();
  std::size_t links = 0;
  for (const Namespace& space : topology.namespaces) links += space.links.size();
  EXPECT_EQ(topology.namespaces.size(), 10U);
  EXPECT_GE(links, 40U);
  expect_readable(topology);
}

TEST(Draw, a_crowd_of_lines_between_few_namespaces_is_readable) {
  Scene scene;
  for (const char* name : {"a", "b", "c", "d"}) scene.space(name);
  for (std::size_t one = 0; one < 4; ++one) {
    for (std::size_t two = 0; two < 4; ++two) {
      scene.veth(one, numbered("v", two), 0, two, numbered("w", one), {"10.0.0.1/24"});
    }
  }
  expect_readable(scene.joined());
}

TEST(Draw, whatever_is_joined_with_whatever_is_readable) {
  std::mt19937 random(7);
  for (int round = 0; round < 6; ++round) {
    Scene scene;
    const std::size_t count = 2 + random() % 9;
    for (std::size_t i = 0; i < count; ++i) scene.space(numbered("space-", i));
    for (std::size_t i = 0; i < 2 * count; ++i) {
      const std::size_t one = random() % count;
      const std::uint32_t bridge = random() % 3 == 0 ? scene.link(one, "br", "bridge").index : 0;
      scene.veth(one, numbered("v", i), bridge, random() % count, numbered("w", i), {"fd00::1/64"});
    }
    SCOPED_TRACE(round);
    expect_readable(scene.joined());
  }
}

TEST(Draw, two_hundred_namespaces_take_no_longer_than_people_wait) {
  Scene scene;
  const std::size_t host = scene.space("");
  const std::uint32_t bridge = scene.link(host, "br0", "bridge").index;
  for (std::size_t i = 0; i < 200; ++i) {
    scene.veth(host, numbered("veth", i), bridge, scene.space(numbered("container-", i)), "eth0", {"10.0.0.2/16"});
  }
  const Drawing drawing = draw(scene.joined());
  EXPECT_EQ(drawing.wires.size(), 200U);
  expect_no_labels_overlap(drawing);
  expect_all_is_within(drawing);
}

TEST(Draw, a_line_for_each_pair_and_none_for_ports) {
  const Topology topology = three_by_a_bridge();
  const Drawing drawing = draw(topology);
  std::set<std::string> titles;
  for (const Wire& wire : drawing.wires) titles.insert(wire.title);
  EXPECT_EQ(titles, (std::set<std::string>{"to-blue in your namespace - eth0 in blue",
                                           "to-green in your namespace - eth0 in green",
                                           "to-red in your namespace - eth0 in red"}));
}

TEST(Draw, lines_that_cross_differ_in_hue) {
  std::mt19937 random(3);
  Scene scene;
  constexpr std::size_t count = 10;
  for (std::size_t i = 0; i < count; ++i) scene.space(numbered("space-", i));
  for (std::size_t i = 0; i < 2 * count; ++i) {
    const std::size_t one = random() % count;
    scene.veth(one, numbered("v", i), 0, random() % count, numbered("w", i), {"fd00::1/64"});
  }
  const Drawing drawing = draw(scene.joined());
  std::size_t crossings = 0;
  for (const Wire& one : drawing.wires) {
    for (const Wire& two : drawing.wires) {
      for (const Area& flat : pieces_of(one)) {
        for (const Area& steep : pieces_of(two)) {
          const bool is_crossing = flat.height == 0 && steep.width == 0 && flat.x < steep.x &&
                                   steep.x < flat.x + flat.width && steep.y < flat.y && flat.y < steep.y + steep.height;
          if (!is_crossing) continue;
          ++crossings;
          EXPECT_NE(one.hue, two.hue) << one.title << " and " << two.title;
        }
      }
    }
  }
  EXPECT_GT(crossings, 0U);
}

TEST(Draw, a_line_ends_at_the_row_of_its_link) {
  const Drawing drawing = draw(three_by_a_bridge());
  for (const Wire& wire : drawing.wires) {
    for (const Point& end : {wire.points.front(), wire.points.back()}) {
      const bool has_row = std::ranges::any_of(drawing.labels, [&](const Label& label) {
        const Area area = area_of(label);
        return (label.text.starts_with("to-") || label.text == "eth0") && area.y - 6 < end.y &&
               end.y < area.y + area.height + 6;
      });
      EXPECT_TRUE(has_row) << wire.title;
    }
  }
}

TEST(Draw, labels_that_overlap_would_be_seen) {
  const Label one{{10, 10}, 12, "one", "name"};
  const Label near{{10 + width_of("one", 12) - 1, 10}, 12, "two", "name"};
  const Label apart{{10 + width_of("one", 12) + 1, 10}, 12, "two", "name"};
  EXPECT_TRUE(area_of(one).overlaps(area_of(near)));
  EXPECT_FALSE(area_of(one).overlaps(area_of(apart)));
}

}  // namespace
}  // namespace culvert::topology::test
