// Keeping processors awake: for how long, and not a moment after the conversation.
#include "culvert/runtime/wakefulness.hpp"

#include <gtest/gtest.h>

#include "culvert/io/clock.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

constexpr Timestamp start{1h};

TEST(WakefulnessBudget, lasts_two_seconds_at_first) {
  WakefulnessBudget budget(start);
  ASSERT_TRUE(budget.may_begin(start));
  EXPECT_TRUE(budget.may_go_on(start + 1999ms));
  EXPECT_FALSE(budget.may_go_on(start + 2001ms));
}

TEST(WakefulnessBudget, comes_back_at_a_tenth_of_the_time) {
  WakefulnessBudget budget(start);
  ASSERT_FALSE(budget.may_go_on(start + 2s));
  EXPECT_FALSE(budget.may_begin(start + 2s + 999ms));
  EXPECT_TRUE(budget.may_begin(start + 3s));
  EXPECT_TRUE(budget.may_go_on(start + 3s + 99ms));
  EXPECT_FALSE(budget.may_go_on(start + 3s + 101ms));
}

TEST(WakefulnessBudget, never_becomes_more_than_two_seconds) {
  WakefulnessBudget budget(start);
  ASSERT_TRUE(budget.may_begin(start + 24h));
  EXPECT_FALSE(budget.may_go_on(start + 24h + 2001ms));
}

TEST(WakefulnessBudget, keeps_a_machine_that_always_talks_awake_a_tenth_of_the_time) {
  WakefulnessBudget budget(start);
  std::chrono::nanoseconds awake{0};
  bool is_awake = false;
  for (auto passed = 0ms; passed < 100s; passed += 5ms) {
    if (is_awake) awake += 5ms;
    is_awake = is_awake ? budget.may_go_on(start + passed) : budget.may_begin(start + passed);
  }
  EXPECT_GT(awake, 8s);
  EXPECT_LT(awake, 13s);
}

class WakefulnessHere : public testing::Test {
 protected:
  void SetUp() override {
    auto request = CpuLatencyRequest::open();
    if (!request) GTEST_SKIP() << "/dev/cpu_dma_latency cannot be opened: " << request.error().message();
    wakefulness_ = std::make_unique<Wakefulness>(io_, std::move(*request), read_clocks().time);
  }
  boost::asio::io_context io_;
  std::unique_ptr<Wakefulness> wakefulness_;
};

TEST_F(WakefulnessHere, begins_with_a_packet_and_ends_when_none_follows) {
  EXPECT_FALSE(wakefulness_->is_awake());
  wakefulness_->heard(read_clocks().time);
  EXPECT_TRUE(wakefulness_->is_awake());
  for (int i = 0; i < 1000 && wakefulness_->is_awake(); ++i) io_.run_one_for(10s);
  EXPECT_FALSE(wakefulness_->is_awake());
  wakefulness_->heard(read_clocks().time);
  EXPECT_TRUE(wakefulness_->is_awake());
}

TEST_F(WakefulnessHere, is_over_with_its_end_also_in_the_middle_of_a_conversation) {
  wakefulness_->heard(read_clocks().time);
  wakefulness_.reset();
  EXPECT_GT(io_.run_for(10s), 0u);
  EXPECT_TRUE(io_.stopped());
}

}  // namespace
}  // namespace culvert
