// Commands for nftables, compared with what nft(8) sees.
#include "culvert/io/packet_filter.hpp"

#include <gmock/gmock.h>

#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(PacketFilter, runs_commands_as_a_whole_or_not_at_all) {
  in_own_namespace([] {
    EXPECT_THAT(run_nft("add table inet one\nadd table inet two\n"), IsEmpty());
    EXPECT_THAT(output_of("nft list tables"), HasSubstr("table inet two"));
    EXPECT_THAT(run_nft("add table inet three\nadd rule inet absent forward drop\n"), HasSubstr("No such file"));
    EXPECT_THAT(output_of("nft list tables"), Not(HasSubstr("three")));
  });
}

TEST(PacketFilter, says_in_one_line_what_it_does_not_understand) {
  in_own_namespace([] {
    const std::string error = run_nft("add nonsense\nand more\n");
    EXPECT_THAT(error, HasSubstr("syntax error"));
    EXPECT_THAT(error, Not(HasSubstr("\n")));
  });
}

TEST(PacketFilter, removes_a_table_that_is_there) {
  in_own_namespace([] {
    EXPECT_THAT(run_nft("add table inet one\nadd table inet two\n"), IsEmpty());
    remove_nft_table("inet one");
    remove_nft_table("inet one");
    EXPECT_EQ(output_of("nft list tables"), "table inet two\n");
  });
}

}  // namespace
}  // namespace culvert
