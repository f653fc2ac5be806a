// Names and addresses of a sandbox's link.
#include "culvert/sandbox/ends.hpp"

#include <gmock/gmock.h>
#include <net/if.h>

namespace culvert {
namespace {

using ::testing::ElementsAre;
using ::testing::Lt;

Prefix prefix(const char* text) {
  return *Prefix::parse(text);
}

TEST(SandboxEnds, have_addresses_of_their_own_for_every_number) {
  EXPECT_THAT(default_addresses(0).inside, ElementsAre(prefix("10.213.0.2/30"), prefix("fd63:756c:7665::2/64")));
  EXPECT_THAT(default_addresses(0).outside, ElementsAre(prefix("10.213.0.1/30"), prefix("fd63:756c:7665::1/64")));
  EXPECT_THAT(default_addresses(65).outside, ElementsAre(prefix("10.213.1.5/30"), prefix("fd63:756c:7665:41::1/64")));
  const EndAddresses last = default_addresses(sandboxes_max - 1);
  EXPECT_THAT(last.inside, ElementsAre(prefix("10.213.255.254/30"), prefix("fd63:756c:7665:3fff::2/64")));
  for (std::size_t at = 0; at < last.inside.size(); ++at) {
    EXPECT_TRUE(overlap(last.inside[at], last.outside[at]));
    EXPECT_FALSE(overlap(last.inside[at], default_addresses(sandboxes_max - 2).inside[at]));
  }
}

TEST(SandboxEnds, have_names_that_fit) {
  EXPECT_EQ(outer_link_name(7), "sandbox7");
  EXPECT_THAT(outer_link_name(sandboxes_max - 1).size(), Lt(std::size_t{IFNAMSIZ}));
}

TEST(SandboxEnds, find_the_other_end_in_a_network) {
  EXPECT_EQ(other_end_of(prefix("10.5.0.2/24")), prefix("10.5.0.1/24"));
  EXPECT_EQ(other_end_of(prefix("10.5.0.1/24")), prefix("10.5.0.2/24"));
  EXPECT_EQ(other_end_of(prefix("10.5.0.77/26")), prefix("10.5.0.65/26"));
  EXPECT_EQ(other_end_of(prefix("10.5.0.4/31")), prefix("10.5.0.5/31"));
  EXPECT_EQ(other_end_of(prefix("10.5.0.5/31")), prefix("10.5.0.4/31"));
  EXPECT_EQ(other_end_of(prefix("fd00::2/64")), prefix("fd00::1/64"));
  EXPECT_EQ(other_end_of(prefix("fd00::1/127")), prefix("fd00::/127"));
  EXPECT_EQ(other_end_of(prefix("10.5.0.2/32")), std::nullopt);
  EXPECT_EQ(other_end_of(prefix("fd00::2/128")), std::nullopt);
}

TEST(SandboxEnds, know_networks_that_overlap) {
  EXPECT_TRUE(overlap(prefix("10.0.0.0/8"), prefix("10.213.0.1/30")));
  EXPECT_TRUE(overlap(prefix("10.213.0.1/30"), prefix("10.0.0.0/8")));
  EXPECT_TRUE(overlap(prefix("10.213.0.1/32"), prefix("10.213.0.2/30")));
  EXPECT_FALSE(overlap(prefix("10.213.0.5/30"), prefix("10.213.0.2/30")));
  EXPECT_TRUE(overlap(prefix("0.0.0.0/0"), prefix("10.213.0.2/30")));
  EXPECT_FALSE(overlap(prefix("::/0"), prefix("10.213.0.2/30")));
}

}  // namespace
}  // namespace culvert
