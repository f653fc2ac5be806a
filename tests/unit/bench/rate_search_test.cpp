// The search on paths of which the limit is known.
#include "culvert/bench/rate_search.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <utility>

namespace culvert {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Gt;
using ::testing::Le;

/// A path that loses some share of the packets, depending on their rate, of a generator that has a limit.
struct FakePath {
  std::function<double(double)> loss;
  double sender_max = 2e6;
  double sink_max = 1e12;
  double seconds = 10;

  [[nodiscard]] UdpOutcome run(double rate) const {
    const double sent = std::min(rate == 0 ? sender_max : rate, sender_max);
    const double arrived = sent * (1 - loss(sent));
    const auto packets = [&](double per_second) {
      return static_cast<std::uint64_t>(std::llround(per_second * seconds));
    };
    return {.wanted = packets(rate == 0 ? sent : rate),
            .sent = packets(sent),
            .received = packets(std::min(arrived, sink_max)),
            .sink_drops = packets(arrived) - packets(std::min(arrived, sink_max)),
            .elapsed = std::chrono::nanoseconds(std::llround(seconds * 1e9))};
  }
};

/// A path that carries so many packets a second, with a buffer before it, in trials as short as a benchmark's.
struct BufferedPath {
  double capacity;
  double buffer;  ///< packets
  double seconds = 0.08;

  [[nodiscard]] UdpOutcome run(double rate) const {
    const double sent = (rate == 0 ? 2e6 : rate) * seconds;
    const double held = std::clamp(sent - capacity * seconds, 0.0, buffer);
    const auto packets = static_cast<std::uint64_t>(std::llround(sent));
    return {.wanted = packets,
            .sent = packets,
            .received = std::min(packets, static_cast<std::uint64_t>(std::llround(capacity * seconds + held))),
            .elapsed = std::chrono::nanoseconds(std::llround(seconds * 1e9)),
            .backlog = std::chrono::microseconds(std::llround(held / capacity * 1e6))};
  }
};

std::function<double(double)> sharp_knee(double capacity) {
  return [=](double rate) { return rate <= capacity ? 0 : 1 - capacity / rate; };
}
/// From `begin` on loss grows by a hundredth for each tenth more.
std::function<double(double)> soft_knee(double begin) {
  return [=](double rate) { return std::clamp((rate / begin - 1) / 10, 0.0, 0.9); };
}

const std::vector<RateGoal> both_goals{{.loss_max = 0, .estimate = {}}, {.loss_max = 0.005, .estimate = {}}};

/// Until the search wants no more.
RateSearch searched(const FakePath& path, std::vector<RateGoal> goals = both_goals, RateSearchLimits limits = {}) {
  RateSearch search(std::move(goals), limits);
  while (const auto rate = search.next()) {
    EXPECT_EQ(search.next(), rate) << "asking changes nothing";
    search.told(path.run(*rate));
  }
  EXPECT_LE(search.trials(), limits.trials_max);
  return search;
}

void expect_found(const RateSearch& search, std::size_t goal, double rate) {
  const auto found = search.found(goal);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->rate, AllOf(Gt(rate / 1.031), Le(rate * 1.001)));
  EXPECT_TRUE(found->is_precise);
  EXPECT_FALSE(found->is_limited_by_generator);
}

TEST(RateSearch, begins_with_a_flood_unless_there_is_an_estimate) {
  EXPECT_EQ(RateSearch(both_goals).next(), 0);
  EXPECT_EQ(RateSearch({{.loss_max = 0, .estimate = 1234}}).next(), 1234);
  EXPECT_EQ(RateSearch({}).next(), std::nullopt);
}

TEST(RateSearch, finds_a_sharp_knee_wherever_it_is) {
  for (double capacity = 1000; capacity < 1.9e6; capacity *= 1.37) {
    const RateSearch search = searched({.loss = sharp_knee(capacity)});
    expect_found(search, 0, capacity);
    // A little beyond it half a hundredth is lost.
    expect_found(search, 1, capacity / 0.995);
    EXPECT_LE(search.trials(), 12U) << capacity;
  }
}

TEST(RateSearch, finds_both_rates_of_a_soft_knee) {
  for (const double begin : {5e3, 1e5, 7e5}) {
    const RateSearch search = searched({.loss = soft_knee(begin)});
    expect_found(search, 0, begin);
    expect_found(search, 1, begin * 1.05);
  }
}

TEST(RateSearch, needs_few_trials_from_an_estimate) {
  for (const double error : {0.97, 1.0, 1.03}) {
    const double knee = 3e5;
    const RateSearch search = searched({.loss = sharp_knee(knee)}, {{.loss_max = 0, .estimate = knee * error}});
    expect_found(search, 0, knee);
    EXPECT_LE(search.trials(), 6U) << error;
  }
}

TEST(RateSearch, is_not_led_astray_by_a_wrong_estimate) {
  for (const double estimate : {0.0, 1.0, 2e3, 1e5, 9e5, 1e9, 1e12}) {
    const RateSearch search = searched(
        {.loss = sharp_knee(1e5)}, {{.loss_max = 0, .estimate = estimate}, {.loss_max = 0.005, .estimate = estimate}});
    expect_found(search, 0, 1e5);
    expect_found(search, 1, 1e5 / 0.995);
  }
}

TEST(RateSearch, shares_trials_among_goals) {
  const RateSearch both = searched({.loss = sharp_knee(1e5)});
  const RateSearch one = searched({.loss = sharp_knee(1e5)}, {both_goals[0]});
  EXPECT_LE(both.trials(), one.trials() + 1);
}

TEST(RateSearch, finds_the_rate_of_a_path_that_collapses_under_a_flood) {
  const auto collapse = [](double rate) { return rate <= 4e5 ? 0 : 1 - 2e4 / rate; };
  expect_found(searched({.loss = collapse}), 0, 4e5);
}

TEST(RateSearch, is_not_deceived_by_buffers_that_take_all_of_a_short_trial) {
  for (const double buffer : {1e2, 1e4, 1e5, 1e7}) {
    const BufferedPath path{.capacity = 2e5, .buffer = buffer};
    RateSearch search(both_goals);
    while (const auto rate = search.next()) search.told(path.run(*rate));
    for (const std::size_t goal : {0U, 1U}) {
      ASSERT_TRUE(search.found(goal)) << buffer;
      EXPECT_THAT(search.found(goal)->rate, AllOf(Gt(2e5 / 1.031), Le(2e5 * 1.026))) << buffer;
      EXPECT_FALSE(search.found(goal)->is_limited_by_generator) << buffer;
    }
  }
}

TEST(UdpOutcome, loses_what_came_late_as_if_it_had_not_been_carried) {
  UdpOutcome outcome{.wanted = 1000, .sent = 1000, .received = 1000, .elapsed = 100ms};
  EXPECT_EQ(outcome.loss(), 0);
  outcome.backlog = 100ms;
  EXPECT_DOUBLE_EQ(outcome.loss(), 0.5);
  outcome.backlog = 2500us;
  EXPECT_EQ(outcome.loss(), 0) << "a fortieth is forgiven";
  outcome.elapsed = 40ms;
  EXPECT_GT(outcome.loss(), 0.05);
  outcome.backlog = 2ms;
  EXPECT_EQ(outcome.loss(), 0) << "and so are 2 ms";
}

TEST(RateSearch, forgives_a_single_failure_wherever_it_falls) {
  const FakePath path{.loss = sharp_knee(2e5)};
  for (std::size_t unlucky = 1; unlucky < 12; ++unlucky) {
    RateSearch search(both_goals);
    while (const auto rate = search.next()) {
      UdpOutcome outcome = path.run(*rate);
      if (search.trials() == unlucky) outcome.received -= outcome.received / 100;
      search.told(outcome);
    }
    expect_found(search, 0, 2e5);
    expect_found(search, 1, 2e5 / 0.995);
  }
}

TEST(RateSearch, repeats_even_a_plain_failure_below_a_rate_that_passed) {
  const FakePath path{.loss = [](double rate) { return rate <= 0.9e5 ? 0 : rate <= 1.2e5 ? 0.003 : 0.1; }};
  RateSearch search({{.loss_max = 0, .estimate = 1e5}, {.loss_max = 0.005, .estimate = {}}});
  bool is_first = true;
  while (const auto rate = search.next()) {
    UdpOutcome outcome = path.run(*rate);
    if (*rate < 0.99e5 && std::exchange(is_first, false)) outcome.received /= 2;
    search.told(outcome);
  }
  EXPECT_FALSE(is_first);
  expect_found(search, 0, 0.9e5);
  expect_found(search, 1, 1.2e5);
}

TEST(RateSearch, believes_a_rate_that_passed_while_nothing_below_it_fails) {
  RateSearch search({{.loss_max = 0, .estimate = 2e5}});
  const FakePath path{.loss = sharp_knee(1e5)};
  bool is_first = true;
  while (const auto rate = search.next()) {
    UdpOutcome outcome = path.run(*rate);
    if (std::exchange(is_first, false)) outcome.received = outcome.wanted;
    search.told(outcome);
  }
  // It passed at twice the capacity once, and nobody has tried lower rates since: that is where the search ends.
  ASSERT_TRUE(search.found(0));
  EXPECT_THAT(search.found(0)->rate, AllOf(Ge(0.97e5), Le(2e5)));
}

TEST(RateSearch, ends_on_a_path_that_fails_by_chance) {
  std::mt19937 lots(1);
  for (int run = 0; run < 200; ++run) {
    RateSearch search(both_goals);
    while (const auto rate = search.next()) {
      UdpOutcome outcome = FakePath{.loss = sharp_knee(2e5)}.run(*rate);
      if (lots() % 5 == 0) outcome.received -= outcome.received / 50;
      search.told(outcome);
    }
    EXPECT_LE(search.trials(), RateSearchLimits{}.trials_max);
    for (const std::size_t goal : {0U, 1U}) {
      ASSERT_TRUE(search.found(goal)) << run;
      EXPECT_LE(search.found(goal)->rate, 2e5 / 0.995);
    }
  }
}

TEST(RateSearch, is_limited_by_a_generator_that_is_slower_than_the_path) {
  const RateSearch search = searched({.loss = [](double) { return 0; }, .sender_max = 8e5});
  EXPECT_EQ(search.trials(), 1U) << "the flood says it all";
  for (const std::size_t goal : {0U, 1U}) {
    ASSERT_TRUE(search.found(goal));
    EXPECT_DOUBLE_EQ(search.found(goal)->rate, 8e5);
    EXPECT_TRUE(search.found(goal)->is_limited_by_generator);
  }
}

TEST(RateSearch, is_limited_by_the_generator_also_without_a_flood) {
  const RateSearch search =
      searched({.loss = [](double) { return 0; }, .sender_max = 8e5}, {{.loss_max = 0, .estimate = 5e5}});
  ASSERT_TRUE(search.found(0));
  EXPECT_THAT(search.found(0)->rate, AllOf(Gt(8e5 / 1.031), Le(8e5)));
  EXPECT_TRUE(search.found(0)->is_limited_by_generator);
}

TEST(RateSearch, is_limited_by_a_sink_that_is_slower_than_the_path) {
  const RateSearch search = searched({.loss = [](double) { return 0; }, .sink_max = 3e5});
  ASSERT_TRUE(search.found(0));
  EXPECT_THAT(search.found(0)->rate, AllOf(Gt(3e5 / 1.031), Le(3e5)));
  EXPECT_TRUE(search.found(0)->is_limited_by_generator);
}

TEST(RateSearch, counts_no_more_than_what_was_sent_by_a_sender_that_took_longer) {
  RateSearch search({{.loss_max = 0, .estimate = 1e5}});
  UdpOutcome outcome = FakePath{.loss = sharp_knee(2e5)}.run(*search.next());
  outcome.elapsed += outcome.elapsed / 20;
  search.told(outcome);
  ASSERT_TRUE(search.found(0));
  EXPECT_NEAR(search.found(0)->rate, 1e5 / 1.05, 1);
  EXPECT_FALSE(search.found(0)->is_precise);
}

TEST(RateSearch, finds_nothing_on_a_path_that_loses_at_any_rate) {
  const RateSearch search = searched({.loss = [](double) { return 0.5; }});
  EXPECT_FALSE(search.found(0));
  EXPECT_FALSE(search.found(1));
  const RateSearch silent = searched({.loss = [](double) { return 1; }});
  EXPECT_FALSE(silent.found(0));
  EXPECT_LE(silent.trials(), 3U);
}

TEST(RateSearch, finds_what_half_a_hundredth_lost_leaves_to_the_other_goal) {
  const RateSearch search = searched({.loss = [](double rate) { return rate > 1e5 ? 0.1 : 0.003; }});
  EXPECT_FALSE(search.found(0));
  expect_found(search, 1, 1e5);
}

TEST(RateSearch, ends_with_what_it_has_when_trials_run_out) {
  const RateSearch search = searched({.loss = sharp_knee(1e5)}, both_goals, {.trials_max = 3});
  EXPECT_EQ(search.trials(), 3U);
  EXPECT_EQ(search.next(), std::nullopt);
  if (const auto found = search.found(0)) {
    EXPECT_FALSE(found->is_precise);
  }
}

}  // namespace
}  // namespace culvert
