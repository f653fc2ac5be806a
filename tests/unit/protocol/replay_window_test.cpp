// The replay window, with the cases of the kernel module's selftest/counter.c.
#include "culvert/protocol/replay_window.hpp"

#include <gtest/gtest.h>

#include <set>

#include "support/seeded_random.hpp"

namespace culvert {
namespace {

constexpr std::uint64_t window = limits::replay_window_size;
constexpr std::uint64_t reject = limits::reject_after_messages;
/// The kernel's T_LIM.
constexpr std::uint64_t edge = window + 1;

TEST(ReplayWindow, decides_the_kernel_selftest_cases_alike) {
  struct Case {
    std::uint64_t counter;
    bool accepted;
  };
  constexpr Case cases[] = {
      {0, true},
      {1, true},
      {1, false},
      {9, true},
      {8, true},
      {7, true},
      {7, false},
      {edge, true},
      {edge - 1, true},
      {edge - 1, false},
      {edge - 2, true},
      {2, true},
      {2, false},
      {edge + 16, true},
      {3, false},
      {edge + 16, false},
      {edge * 4, true},
      {edge * 4 - (edge - 1), true},
      {10, false},
      {edge * 4 - edge, false},
      {edge * 4 - (edge + 1), false},
      {edge * 4 - (edge - 2), true},
      {edge * 4 + 1 - edge, false},
      {0, false},
      {reject, false},
      {reject - 1, true},
      {reject, false},
      {reject - 1, false},
      {reject - 2, true},
      {reject + 1, false},
      {reject + 2, false},
      {reject - 2, false},
      {reject - 3, true},
      {0, false},
  };
  static_assert(std::size(cases) == 34);
  ReplayWindow replay;
  int line = 0;
  for (const auto& [counter, accepted] : cases) {
    EXPECT_EQ(replay.accept(counter), accepted) << "case " << ++line << ", counter " << counter;
  }
}

/// Every counter from `first` to `last`, up or down, is accepted once.
void accept_all(ReplayWindow& replay, std::uint64_t first, std::uint64_t last) {
  const std::uint64_t step = first <= last ? 1 : ~std::uint64_t{0};
  for (std::uint64_t counter = first; counter != last + step; counter += step) {
    ASSERT_TRUE(replay.accept(counter)) << counter;
  }
}

TEST(ReplayWindow, keeps_zero_while_the_window_reaches_down_to_it) {
  ReplayWindow replay;
  accept_all(replay, 1, window);
  EXPECT_TRUE(replay.accept(0));
  EXPECT_FALSE(replay.accept(0));
}

TEST(ReplayWindow, loses_zero_when_the_window_ends_at_one) {
  ReplayWindow replay;
  accept_all(replay, 2, window + 1);
  EXPECT_TRUE(replay.accept(1));
  EXPECT_FALSE(replay.accept(0));
}

TEST(ReplayWindow, accepts_a_whole_window_backwards) {
  ReplayWindow replay;
  accept_all(replay, window, 0);
}

TEST(ReplayWindow, accepts_no_more_than_a_whole_window_backwards) {
  ReplayWindow replay;
  accept_all(replay, window + 1, 1);
  EXPECT_FALSE(replay.accept(0));
}

TEST(ReplayWindow, moves_on_past_zero) {
  ReplayWindow replay;
  accept_all(replay, window, 1);
  EXPECT_TRUE(replay.accept(window + 1));
  EXPECT_FALSE(replay.accept(0));
}

TEST(ReplayWindow, moves_on_after_zero) {
  ReplayWindow replay;
  accept_all(replay, window, 1);
  EXPECT_TRUE(replay.accept(0));
  EXPECT_TRUE(replay.accept(window + 1));
}

TEST(ReplayWindow, reaches_back_its_size_and_not_one_further) {
  for (const std::uint64_t greatest : {std::uint64_t{20000}, std::uint64_t{20031}, std::uint64_t{20032}, reject - 1}) {
    for (const std::uint64_t behind : {window - 1, window, window + 1}) {
      ReplayWindow replay;
      ASSERT_TRUE(replay.accept(greatest));
      EXPECT_EQ(replay.accept(greatest - behind), behind <= window) << greatest << " - " << behind;
    }
  }
}

TEST(ReplayWindow, never_accepts_counters_at_the_limit_or_above) {
  EXPECT_TRUE(ReplayWindow().accept(reject - 1));
  EXPECT_FALSE(ReplayWindow().accept(reject));
  EXPECT_FALSE(ReplayWindow().accept(reject + 1));
  EXPECT_FALSE(ReplayWindow().accept(~std::uint64_t{0}));
}

TEST(ReplayWindow, is_unchanged_by_what_it_refuses) {
  ReplayWindow replay;
  ASSERT_TRUE(replay.accept(10000));
  EXPECT_FALSE(replay.accept(reject));
  EXPECT_FALSE(replay.accept(0));
  EXPECT_FALSE(replay.accept(10000));
  EXPECT_TRUE(replay.accept(10000 - window));
  EXPECT_TRUE(replay.accept(10001));
}

TEST(ReplayWindow, forgets_bits_of_the_last_turn_of_the_ring) {
  for (const std::uint64_t jump :
       {limits::replay_window_bits - 64, limits::replay_window_bits - 1, limits::replay_window_bits,
        limits::replay_window_bits + 1, limits::replay_window_bits * 7}) {
    ReplayWindow replay;
    accept_all(replay, 0, limits::replay_window_bits);
    const std::uint64_t greatest = limits::replay_window_bits + jump;
    ASSERT_TRUE(replay.accept(greatest));
    for (std::uint64_t counter = greatest - window; counter < greatest; ++counter) {
      ASSERT_EQ(replay.accept(counter), counter > limits::replay_window_bits) << "jump " << jump << ", " << counter;
    }
  }
}

TEST(ReplayWindow, agrees_with_a_set_of_seen_counters) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SeededRandom random(seed);
    ReplayWindow replay;
    std::set<std::uint64_t> seen;
    std::uint64_t greatest = 0;
    for (int i = 0; i < 5000; ++i) {
      const std::uint64_t kind = random.next_u32() % 16;
      const std::uint64_t reach = kind == 0 ? 20000 : kind < 4 ? 9000 : 70;
      const std::uint64_t offset = random.next_u32() % reach;
      const bool forward = random.next_u32() % 2 == 0;
      const std::uint64_t counter = forward ? greatest + offset : greatest - std::min(greatest, offset);
      const bool expected = !seen.contains(counter) && (counter > greatest || greatest - counter <= window);
      ASSERT_EQ(replay.accept(counter), expected) << "seed " << seed << ", step " << i << ", counter " << counter;
      if (expected) seen.insert(counter);
      greatest = std::max(greatest, expected ? counter : greatest);
    }
  }
}

}  // namespace
}  // namespace culvert
