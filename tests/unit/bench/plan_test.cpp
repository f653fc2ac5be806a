#include "culvert/bench/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace culvert {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

BenchWish wish_of(BenchKind kind) {
  BenchWish wish;
  wish.kind = kind;
  return wish;
}

milliseconds round_of(const BenchWish& wish) {
  milliseconds all{0};
  for (const BenchStage& stage : plan_of(wish)) {
    all += expected_setup_time;
    for (const BenchStep& step : stage.steps) all += expected_time(step, trial_times_of(wish.kind));
  }
  return all;
}

const BenchStage* find(const std::vector<BenchStage>& plan, const Arrangement& arrangement) {
  const auto found = std::ranges::find(plan, arrangement, &BenchStage::arrangement);
  return found == plan.end() ? nullptr : &*found;
}

bool has(const BenchStage& stage, BenchStep::Kind kind, std::uint32_t size, unsigned streams = 1) {
  return std::ranges::any_of(stage.steps, [&](const BenchStep& step) {
    return step.kind == kind && step.packet_size == size && step.streams == streams;
  });
}

std::string refusal_of(const BenchWish& wish) {
  try {
    (void)plan_of(wish);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(PlanTest, five_rounds_stay_within_the_time_that_is_promised) {
  EXPECT_LT(5 * round_of(wish_of(BenchKind::Quick)), std::chrono::seconds(60));
  EXPECT_LT(5 * round_of(wish_of(BenchKind::Default)), std::chrono::minutes(5));
}

TEST(PlanTest, all_sizes_and_round_trips_are_measured_in_the_middle_of_each_mode) {
  const auto plan = plan_of(wish_of(BenchKind::Default));
  for (const BenchMode mode : {BenchMode::Tun, BenchMode::Tap, BenchMode::BridgedTap}) {
    const BenchStage* middle = find(plan, {mode, CipherSuite::ChaCha20Poly1305, OffloadRung::On, 1, 1420});
    ASSERT_TRUE(middle);
    for (const std::uint32_t size : {64U, 128U, 256U, 512U, 1024U, 1280U, 1420U}) {
      EXPECT_TRUE(has(*middle, BenchStep::Kind::Rates, size)) << size;
    }
    EXPECT_TRUE(has(*middle, BenchStep::Kind::RoundTrips, 1420));
    EXPECT_TRUE(has(*middle, BenchStep::Kind::Tcp, 1420, 4));
    const BenchStage* large = find(plan, {mode, CipherSuite::ChaCha20Poly1305, OffloadRung::On, 1, 8920});
    ASSERT_TRUE(large);
    EXPECT_TRUE(has(*large, BenchStep::Kind::Rates, 8920));
  }
}

TEST(PlanTest, every_mode_has_every_cipher_with_offloads_on_and_off) {
  const auto plan = plan_of(wish_of(BenchKind::Default));
  for (const BenchMode mode : {BenchMode::Tun, BenchMode::Tap}) {
    for (const CipherSuite cipher : all_cipher_suites) {
      for (const OffloadRung rung : {OffloadRung::Off, OffloadRung::On}) {
        const BenchStage* stage = find(plan, {mode, cipher, rung, 1, 1420});
        ASSERT_TRUE(stage);
        EXPECT_TRUE(has(*stage, BenchStep::Kind::Tcp, 1420));
      }
    }
  }
}

TEST(PlanTest, the_bare_uplink_is_measured_for_every_size) {
  const auto plan = plan_of(wish_of(BenchKind::Quick));
  EXPECT_EQ(plan.front().arrangement.mode, BenchMode::Uplink);
  EXPECT_TRUE(has(plan.front(), BenchStep::Kind::Tcp, BenchLab::uplink_mtu));
  EXPECT_TRUE(has(plan.front(), BenchStep::Kind::Rates, 64));
  EXPECT_TRUE(has(plan.front(), BenchStep::Kind::Rates, 1420));
}

TEST(PlanTest, a_rate_is_found_before_it_is_a_load) {
  for (const BenchKind kind : {BenchKind::Quick, BenchKind::Default, BenchKind::Full}) {
    for (const BenchStage& stage : plan_of(wish_of(kind))) {
      for (auto step = stage.steps.begin(); step != stage.steps.end(); ++step) {
        if (step->kind != BenchStep::Kind::RoundTrips) continue;
        EXPECT_TRUE(std::any_of(stage.steps.begin(), step, [&](const BenchStep& earlier) {
          return earlier.kind == BenchStep::Kind::Rates && earlier.packet_size == step->packet_size &&
                 earlier.streams == step->streams;
        }));
      }
    }
  }
}

TEST(PlanTest, full_leaves_no_combination_out) {
  const auto plan = plan_of(wish_of(BenchKind::Full));
  EXPECT_EQ(plan.size(), 1 + 3 * 3 * 4 * 2 * 2);
  for (const BenchStage& stage : plan) {
    if (stage.arrangement.mode == BenchMode::Uplink) continue;
    EXPECT_TRUE(has(stage, BenchStep::Kind::Tcp, stage.arrangement.mtu, 4));
    EXPECT_TRUE(has(stage, BenchStep::Kind::Rates, stage.arrangement.mtu == 8920 ? 8920 : 512));
  }
}

TEST(PlanTest, what_was_asked_for_takes_the_place_of_the_usual) {
  BenchWish wish = wish_of(BenchKind::Quick);
  wish.modes = {BenchMode::Tap};
  wish.ciphers = {CipherSuite::None};
  wish.offloads = {OffloadRung::Off};
  wish.sizes = {300, 300, 200};
  wish.queues = {3};
  wish.streams = {7};
  const auto plan = plan_of(wish);
  ASSERT_EQ(plan.size(), 2);
  EXPECT_EQ(plan[1].arrangement, (Arrangement{BenchMode::Tap, CipherSuite::None, OffloadRung::Off, 3, 1420}));
  EXPECT_TRUE(has(plan[1], BenchStep::Kind::Rates, 200, 7));
  EXPECT_TRUE(has(plan[1], BenchStep::Kind::Rates, 300, 7));
  EXPECT_TRUE(has(plan[1], BenchStep::Kind::RoundTrips, 300, 7));
  EXPECT_FALSE(has(plan[1], BenchStep::Kind::Rates, 64, 7));
}

TEST(PlanTest, a_tunnel_that_is_there_is_measured_up_to_its_mtu) {
  const Arrangement tunnel{BenchMode::Tap, CipherSuite::Aes256Gcm, OffloadRung::On, 1, 1300};
  const auto plan = plan_of_tunnel(wish_of(BenchKind::Default), tunnel);
  ASSERT_EQ(plan.size(), 1);
  EXPECT_EQ(plan[0].arrangement, tunnel);
  EXPECT_TRUE(has(plan[0], BenchStep::Kind::Tcp, 1300));
  EXPECT_TRUE(has(plan[0], BenchStep::Kind::Rates, 64));
  EXPECT_TRUE(has(plan[0], BenchStep::Kind::Rates, 1300));
  EXPECT_FALSE(has(plan[0], BenchStep::Kind::Rates, 1420));
  EXPECT_TRUE(has(plan[0], BenchStep::Kind::RoundTrips, 1300));
}

TEST(PlanTest, what_would_change_a_tunnel_that_is_there_is_refused) {
  const Arrangement tunnel{BenchMode::Tun, CipherSuite::ChaCha20Poly1305, OffloadRung::On, 1, 1420};
  BenchWish wish;
  wish.modes = {BenchMode::Tun};
  EXPECT_THROW((void)plan_of_tunnel(wish, tunnel), std::invalid_argument);
  wish = {};
  wish.ciphers = {CipherSuite::None};
  EXPECT_THROW((void)plan_of_tunnel(wish, tunnel), std::invalid_argument);
  wish = {};
  wish.offloads = {OffloadRung::Off};
  EXPECT_THROW((void)plan_of_tunnel(wish, tunnel), std::invalid_argument);
  wish = {};
  wish.queues = {2};
  EXPECT_THROW((void)plan_of_tunnel(wish, tunnel), std::invalid_argument);
  wish = {};
  wish.sizes = {1421};
  EXPECT_THROW((void)plan_of_tunnel(wish, tunnel), std::invalid_argument);
  wish.sizes = {1420};
  EXPECT_EQ(plan_of_tunnel(wish, tunnel).size(), 1);
  wish.kind = BenchKind::Full;
  EXPECT_THROW(check_for_tunnel(wish), std::invalid_argument);
  wish.kind = BenchKind::Quick;
  EXPECT_NO_THROW(check_for_tunnel(wish));
  wish.sizes = {63};
  EXPECT_THROW(check_for_tunnel(wish), std::invalid_argument);
  // No lab's uplink stands in the way.
  wish.sizes = {20'000};
  EXPECT_NO_THROW(check_for_tunnel(wish));
  wish.streams = {65};
  EXPECT_THROW(check_for_tunnel(wish), std::invalid_argument);
}

TEST(PlanTest, sizes_that_do_not_fit_are_refused) {
  BenchWish wish;
  wish.sizes = {8921};
  EXPECT_THAT(refusal_of(wish), HasSubstr("8921 bytes cannot be measured: the lab's uplink has an MTU of 9000"));
  wish.sizes = {63};
  EXPECT_THAT(refusal_of(wish), HasSubstr("from 64 to 8920"));
  wish.sizes = {64, 8920};
  EXPECT_EQ(refusal_of(wish), "");
}

TEST(PlanTest, queues_that_a_device_cannot_have_are_refused) {
  BenchWish wish;
  wish.queues = {65};
  EXPECT_THAT(refusal_of(wish), HasSubstr("cannot have 65 queues: the number goes from 1 to 64"));
  wish.queues = {0};
  EXPECT_NE(refusal_of(wish), "");
  wish.queues = {64};
  EXPECT_EQ(refusal_of(wish), "");
}

TEST(PlanTest, no_streams_and_too_many_are_refused) {
  BenchWish wish;
  wish.streams = {0};
  EXPECT_THAT(refusal_of(wish), HasSubstr("0 streams cannot be measured"));
  wish.streams = {65};
  EXPECT_NE(refusal_of(wish), "");
}

TEST(PlanTest, a_bridge_with_tun_is_refused_with_the_reason) {
  EXPECT_EQ(bench_mode_of("tap+bridge"), BenchMode::BridgedTap);
  try {
    (void)bench_mode_of("tun+bridge");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("a bridge forwards Ethernet frames, and a tun device has none"));
  }
  EXPECT_THROW((void)bench_mode_of("uplink"), std::invalid_argument);
  EXPECT_THROW((void)offload_rung_of("auto"), std::invalid_argument);
}

}  // namespace
}  // namespace culvert
