// Names and counts of drop reasons.
#include "culvert/base/drop_reason.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace culvert {
namespace {

TEST(DropReason, each_has_a_name_of_its_own_in_snake_case) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < drop_reason_count; ++i) {
    const std::string_view name = to_string(static_cast<DropReason>(i));
    EXPECT_NE(name, "unknown") << i;
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_TRUE(std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    })) << name;
  }
}

TEST(DropReason, known_names_stay) {
  EXPECT_EQ(to_string(DropReason::DatagramLength), "datagram_length");
  EXPECT_EQ(to_string(DropReason::InvalidMac1), "invalid_mac1");
  EXPECT_EQ(to_string(DropReason::Truncated), "truncated");
}

TEST(DropReason, a_number_that_names_none_is_unknown) {
  EXPECT_EQ(to_string(static_cast<DropReason>(drop_reason_count)), "unknown");
}

TEST(DropCounters, count_each_reason_apart) {
  DropCounters counters;
  counters.count(DropReason::Replay);
  counters.count(DropReason::Replay, 4);
  counters.count(DropReason::Truncated);
  EXPECT_EQ(counters[DropReason::Replay], 5U);
  EXPECT_EQ(counters[DropReason::Truncated], 1U);
  EXPECT_EQ(counters[DropReason::DatagramLength], 0U);
}

}  // namespace
}  // namespace culvert
