// Packet filter tables, compared with what nft(8) sees.
#include "culvert/quick/firewall.hpp"

#include <gmock/gmock.h>

#include <vector>

#include "support/own_namespace.hpp"
#include "support/restrictions.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::vector<Prefix> addresses{*Prefix::parse("10.9.0.1/24"), *Prefix::parse("fd09::1/64")};

TEST(Firewall, drops_what_comes_to_the_tunnels_addresses_from_elsewhere) {
  in_own_namespace([] {
    add_firewall(Family::V4, "wg0", addresses, 51820);
    EXPECT_THAT(output_of("nft list ruleset"),
                AllOf(HasSubstr("table ip culvert-wg0"), Not(HasSubstr("fd09::1")),
                      HasSubstr("iifname != \"wg0\" ip daddr 10.9.0.1 fib saddr type != local drop")));
    add_firewall(Family::V6, "wg0", addresses, 51820);
    EXPECT_THAT(output_of("nft list table ip6 culvert-wg0"),
                AllOf(HasSubstr("ip6 daddr fd09::1 fib saddr type != local drop"), Not(HasSubstr("10.9.0.1"))));
  });
}

TEST(Firewall, keeps_the_mark_for_answers) {
  in_own_namespace([] {
    add_firewall(Family::V4, "wg0", addresses, 0x1234);
    EXPECT_THAT(output_of("nft list ruleset"),
                AllOf(HasSubstr("meta l4proto udp meta mark 0x00001234 ct mark set meta mark"),
                      HasSubstr("meta l4proto udp meta mark set ct mark")));
  });
}

TEST(Firewall, is_removed_without_a_trace_and_alone) {
  in_own_namespace([] {
    output_of("nft add table ip other");
    const std::string before = output_of("nft list ruleset");
    for (const Family family : {Family::V4, Family::V6}) add_firewall(family, "wg0", addresses, 51820);
    for (const Family family : {Family::V4, Family::V6}) remove_firewall(family, "wg0");
    EXPECT_EQ(output_of("nft list ruleset"), before);
    remove_firewall(Family::V4, "wg0");
    EXPECT_EQ(output_of("nft list ruleset"), before);
  });
}

TEST(Firewall, takes_every_name_that_a_device_may_have_and_keeps_them_apart) {
  in_own_namespace([] {
    for (const char* name : {"a=b", "a+b", "0.a_b-c", "=", "-", "+", ".a", "culvert-0123456"}) {
      add_firewall(Family::V4, name, addresses, 51820);
      EXPECT_THAT(output_of("nft list ruleset"), HasSubstr(std::string("iifname != \"") + name + "\"")) << name;
    }
    remove_firewall(Family::V4, "a=b");
    EXPECT_THAT(output_of("nft list ruleset"), AllOf(Not(HasSubstr("\"a=b\"")), HasSubstr("\"a+b\"")));
    for (const char* name : {"a+b", "0.a_b-c", "=", "-", "+", ".a", "culvert-0123456"})
      remove_firewall(Family::V4, name);
    EXPECT_THAT(output_of("nft list ruleset"), IsEmpty());
  });
}

TEST(Firewall, changes_nothing_when_it_is_refused_and_says_why) {
  in_own_namespace([] {
    test::drop_capability(CAP_NET_ADMIN);
    try {
      add_firewall(Family::V4, "wg0", addresses, 51820);
      ADD_FAILURE() << "was not refused";
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("ip culvert-wg0"), HasSubstr("Operation not permitted")));
    }
  });
}

}  // namespace
}  // namespace culvert
