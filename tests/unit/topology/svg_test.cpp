// The drawing as a document.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <clocale>

#include "culvert/topology/render.hpp"
#include "scenes.hpp"

namespace culvert::topology::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Svg, has_a_size_both_color_schemes_and_nothing_from_elsewhere) {
  const std::string svg = to_svg(three_by_a_bridge());
  EXPECT_TRUE(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\""));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_THAT(svg, HasSubstr("viewBox=\"0 0 "));
  EXPECT_THAT(svg, HasSubstr("@media (prefers-color-scheme:dark)"));
  for (const char* foreign : {"<script", "href", "url(", "@import", "@font-face", "<foreignObject"}) {
    EXPECT_THAT(svg, Not(HasSubstr(foreign)));
  }
}

TEST(Svg, shows_each_link_with_its_state_and_addresses) {
  const std::string svg = to_svg(large());
  for (const char* text : {">veth0123456789a<", ">LOWERLAYERDOWN 1500<", ">macvlan<", "10.1.0.254/24", "peer site-b",
                           "held by qemu-system-x86 (5000)", "forwarding"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
}

TEST(Svg, text_from_outside_stays_text) {
  Scene scene;
  const std::size_t host = scene.space("<script>&\"'\n");
  scene.link(host, "<&>\"'\x1b", "veth");
  const std::string svg = to_svg(scene.joined());
  EXPECT_THAT(svg, Not(HasSubstr("<script>")));
  EXPECT_THAT(svg, HasSubstr("&lt;script&gt;&amp;&quot;"));
  EXPECT_THAT(svg, HasSubstr("&lt;&amp;&gt;&quot;"));
  EXPECT_THAT(svg, Not(HasSubstr("\x1b")));
}

TEST(Svg, writes_numbers_without_the_locale) {
  std::setlocale(LC_ALL, "de_DE.UTF-8");
  EXPECT_THAT(to_svg(one_namespace()), HasSubstr("font-size=\"10.5\""));
  std::setlocale(LC_ALL, "C");
}

}  // namespace
}  // namespace culvert::topology::test
