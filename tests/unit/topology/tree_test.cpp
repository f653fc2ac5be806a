// The tree for the terminal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "../../../src/topology/wording.hpp"
#include "culvert/topology/render.hpp"
#include "scenes.hpp"

namespace culvert::topology::test {
namespace {

using ::testing::HasSubstr;

TEST(Tree, shows_a_bridge_with_its_ports_in_utf8) {
  Scene scene;
  const std::size_t host = scene.space("host");
  scene.at(host).process_count = 1;
  scene.at(host).processes = {{7, "init"}};
  const std::size_t blue = scene.space("blue");
  const std::uint32_t bridge = scene.link(host, "br0", "bridge", {"10.0.0.1/24"}).index;
  scene.veth(host, "to-blue", bridge, blue, "eth0", {"10.0.0.2/24"});
  EXPECT_EQ(to_tree(scene.joined(), {true, 0}),
            "host  net:[4026531840]  your namespace  1 process: init (7)\n"
            "├─ lo          loopback  UNKNOWN  mtu 65536  127.0.0.1/8  ::1/128\n"
            "└─ br0         bridge    UP        mtu 1500  10.0.0.1/24  02:00:00:00:00:02\n"
            "   └─ to-blue  veth      UP        mtu 1500  forwarding  ⇄ eth0 in blue  02:00:00:00:00:03\n"
            "\n"
            "blue  net:[4026531841]  no process\n"
            "├─ lo          loopback  UNKNOWN  mtu 65536  127.0.0.1/8  ::1/128\n"
            "└─ eth0        veth      UP        mtu 1500  ⇄ to-blue in host  10.0.0.2/24  02:00:00:00:01:02\n");
}

TEST(Tree, does_without_utf8) {
  const std::string text = to_tree(large(), {false, 0});
  EXPECT_TRUE(std::ranges::all_of(text, [](char c) { return (c >= 0x20 && c <= 0x7e) || c == '\n'; }));
  EXPECT_THAT(text, HasSubstr("|  |- to-web"));
  EXPECT_THAT(text, HasSubstr("<-> eth0 in web"));
}

TEST(Tree, keeps_to_the_width_but_for_what_is_longer_alone) {
  for (const std::size_t width : {60U, 80U, 120U}) {
    std::istringstream lines(to_tree(large(), {true, width}));
    for (std::string line; std::getline(lines, line);) {
      const bool has_one_word =
          line.find("  ", line.find_first_not_of(" \xe2\x94\x82\x80\x9c\x94")) == std::string::npos;
      EXPECT_TRUE(columns_of(line) <= width || has_one_word) << width << ": " << line;
    }
  }
}

TEST(Tree, says_the_same_at_every_width) {
  const auto words = [](std::size_t width) {
    std::istringstream text(to_tree(large(), {false, width}));
    std::multiset<std::string> all;
    for (std::string word; text >> word;) {
      if (word != "|") all.insert(word);
    }
    return all;
  };
  EXPECT_EQ(words(0), words(70));
}

TEST(Tree, shows_peers_below_their_tunnel_and_what_could_not_be_seen) {
  Topology topology = large();
  topology.remarks = {"the tunnel of wg9: no answer"};
  const std::string text = to_tree(topology, {true, 0});
  EXPECT_THAT(text, HasSubstr("└─ peer blue"));
  EXPECT_THAT(text, HasSubstr("is wg-blue in blue"));
  EXPECT_THAT(text, HasSubstr("└─ cannot be entered: Operation not permitted (this needs root)\n"));
  EXPECT_THAT(text, HasSubstr("\nnot seen: the tunnel of wg9: no answer\n"));
}

TEST(Tree, shows_a_link_that_seems_to_be_its_own_ancestor) {
  Scene scene;
  const std::size_t host = scene.space("host");
  scene.link(host, "a", "vlan").master = 3;
  scene.link(host, "b", "vlan").master = 2;
  const std::string text = to_tree(scene.joined(), {true, 0});
  EXPECT_THAT(text, HasSubstr(" a "));
  EXPECT_THAT(text, HasSubstr(" b "));
}

TEST(Tree, what_comes_from_outside_cannot_steer_the_terminal) {
  Scene scene;
  const std::size_t host = scene.space("evil\x1b[2J\nname");
  scene.link(host, "x\x1b", "tap").holders = {{5, "\x1b]0;"}};
  const std::string text = to_tree(scene.joined(), {true, 0});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_THAT(text, HasSubstr("evil\\x1b[2J\\x0aname"));
}

}  // namespace
}  // namespace culvert::topology::test
