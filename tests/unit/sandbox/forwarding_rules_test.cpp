// Tables between a sandbox and the networks of its host, as nft(8) sees them.
#include "culvert/sandbox/forwarding_rules.hpp"

#include <gmock/gmock.h>

#include <vector>

#include "culvert/io/packet_filter.hpp"
#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::vector<Prefix> both{*Prefix::parse("10.213.0.2/30"), *Prefix::parse("fd63::2/64")};

TEST(ForwardingRules, close_a_link) {
  in_own_namespace([] {
    EXPECT_THAT(run_nft(closing_commands("sandbox0")), IsEmpty());
    EXPECT_THAT(output_of("nft list table " + forwarding_table_of("sandbox0")),
                AllOf(HasSubstr("hook forward"), HasSubstr("iifname \"sandbox0\" drop"),
                      HasSubstr("oifname \"sandbox0\" drop")));
  });
}

TEST(ForwardingRules, masquerade_a_sandboxs_own_addresses_alone) {
  in_own_namespace([] {
    EXPECT_THAT(run_nft(masquerading_commands("sandbox0", both)), IsEmpty());
    EXPECT_THAT(output_of("nft list ruleset"),
                AllOf(HasSubstr("iifname \"sandbox0\" ip saddr != 10.213.0.2 drop"),
                      HasSubstr("iifname \"sandbox0\" ip6 saddr != fd63::2 drop"),
                      HasSubstr("oifname != \"sandbox0\" ip saddr 10.213.0.2 masquerade"),
                      HasSubstr("oifname != \"sandbox0\" ip6 saddr fd63::2 masquerade"),
                      HasSubstr("oifname \"sandbox0\" ct state { invalid, new, untracked } drop")));
  });
}

TEST(ForwardingRules, let_no_family_pass_that_the_sandbox_has_no_address_of) {
  in_own_namespace([] {
    EXPECT_THAT(run_nft(masquerading_commands("sandbox0", std::span(both).first(1))), IsEmpty());
    EXPECT_THAT(output_of("nft list ruleset"), HasSubstr("iifname \"sandbox0\" meta nfproto ipv6 drop"));
  });
}

TEST(ForwardingRules, take_the_place_of_those_that_are_there) {
  in_own_namespace([] {
    EXPECT_THAT(run_nft(masquerading_commands("sandbox0", both)), IsEmpty());
    EXPECT_THAT(run_nft(closing_commands("sandbox0")), IsEmpty());
    EXPECT_THAT(output_of("nft list ruleset"), Not(HasSubstr("masquerade")));
  });
}

}  // namespace
}  // namespace culvert
