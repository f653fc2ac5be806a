// Sources have their rate, floods their owner, and tables their bound.
#include "culvert/protocol/rate_limiter.hpp"

#include <gtest/gtest.h>

#include "culvert/base/endian.hpp"
#include "support/crypto_ready.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

Address v4(std::uint32_t number) {
  const Be32 wire = number;
  return Address::from_bytes(Family::V4, bytes_of(wire));
}

const Address alice = v4(0xc0000201);
const Address bob = v4(0xc0000202);

template <class Limiter>
unsigned allowed(Limiter& limiter, const Address& source, Timestamp now, unsigned attempts) {
  unsigned count = 0;
  for (unsigned i = 0; i < attempts; ++i) count += limiter.allow(source, now) ? 1u : 0u;
  return count;
}

class RateLimiterTest : public testing::Test {
 protected:
  RateLimiter limiter_;
  Timestamp now_{1h};
};

TEST_F(RateLimiterTest, allows_a_burst_of_5) {
  EXPECT_EQ(allowed(limiter_, alice, now_, 20), 5u);
}

TEST_F(RateLimiterTest, gives_back_a_token_each_50_ms) {
  ASSERT_EQ(allowed(limiter_, alice, now_, 5), 5u);
  EXPECT_FALSE(limiter_.allow(alice, now_ + 50ms - 1ns));
  EXPECT_TRUE(limiter_.allow(alice, now_ + 50ms));
  EXPECT_FALSE(limiter_.allow(alice, now_ + 50ms));
  EXPECT_FALSE(limiter_.allow(alice, now_ + 100ms - 1ns));
  EXPECT_TRUE(limiter_.allow(alice, now_ + 100ms + 1ns));
}

TEST_F(RateLimiterTest, allows_20_per_second_in_the_long_run) {
  unsigned count = 0;
  for (auto t = 0ms; t < 10s; t += 1ms) count += limiter_.allow(alice, now_ + t) ? 1u : 0u;
  EXPECT_EQ(count, 5u + 199u);
}

TEST_F(RateLimiterTest, does_not_save_up_more_than_a_burst) {
  ASSERT_EQ(allowed(limiter_, alice, now_, 5), 5u);
  EXPECT_EQ(allowed(limiter_, alice, now_ + 250ms, 20), 5u);
  EXPECT_EQ(allowed(limiter_, alice, now_ + 900ms, 20), 5u);
  EXPECT_EQ(allowed(limiter_, alice, now_ + 24h, 20), 5u);
}

TEST_F(RateLimiterTest, refusals_cost_nothing) {
  ASSERT_EQ(allowed(limiter_, alice, now_, 1000), 5u);
  EXPECT_TRUE(limiter_.allow(alice, now_ + 50ms));
}

TEST_F(RateLimiterTest, keeps_ipv4_addresses_apart) {
  ASSERT_EQ(allowed(limiter_, alice, now_, 20), 5u);
  EXPECT_EQ(allowed(limiter_, bob, now_, 20), 5u);
}

TEST_F(RateLimiterTest, takes_an_ipv6_64_for_one_source) {
  ASSERT_EQ(allowed(limiter_, *Address::parse("2001:db8:0:1::1"), now_, 5), 5u);
  EXPECT_FALSE(limiter_.allow(*Address::parse("2001:db8:0:1::2"), now_));
  EXPECT_FALSE(limiter_.allow(*Address::parse("2001:db8:0:1:8000::"), now_));
  EXPECT_TRUE(limiter_.allow(*Address::parse("2001:db8:0:2::1"), now_));
  EXPECT_TRUE(limiter_.allow(*Address::parse("2001:db8:0:0::1"), now_));
}

TEST_F(RateLimiterTest, forgets_idle_sources_after_a_second) {
  ASSERT_TRUE(limiter_.allow(alice, now_));
  ASSERT_TRUE(limiter_.allow(bob, now_ + 1s - 10ms));
  EXPECT_EQ(limiter_.size(), 2u);
  ASSERT_TRUE(limiter_.allow(bob, now_ + 1s - 1ns));
  EXPECT_EQ(limiter_.size(), 2u);
  ASSERT_TRUE(limiter_.allow(bob, now_ + 1s));
  EXPECT_EQ(limiter_.size(), 1u) << "bob is not idle";
}

TEST_F(RateLimiterTest, is_bounded_and_recovers) {
  constexpr auto max = static_cast<std::uint32_t>(limits::rate_limiter_entries_max);
  ASSERT_TRUE(limiter_.allow(v4(0), now_));
  for (std::uint32_t i = 1; i < max; ++i) ASSERT_TRUE(limiter_.allow(v4(i), now_ + 900ms));
  EXPECT_EQ(limiter_.size(), limits::rate_limiter_entries_max);
  EXPECT_FALSE(limiter_.allow(v4(max), now_ + 900ms)) << "no room for a new source";
  EXPECT_TRUE(limiter_.allow(v4(7), now_ + 900ms)) << "known ones are served";
  EXPECT_EQ(limiter_.size(), limits::rate_limiter_entries_max);
  EXPECT_TRUE(limiter_.allow(v4(max), now_ + 2s)) << "all were idle by now";
  EXPECT_EQ(limiter_.size(), 1u);
}

TEST(SourceHash, depends_on_its_key) {
  Mac other{};
  other[0] = std::byte{1};
  EXPECT_EQ(SourceHash{}(alice), SourceHash{}(alice));
  EXPECT_NE(SourceHash{}(alice), SourceHash{}(bob));
  EXPECT_NE(SourceHash{}(alice), SourceHash{other}(alice));
}

class LoadMeterTest : public testing::Test {
 protected:
  /// How many of `messages` from `source` at once had to bring a mac2.
  unsigned demanded(const Address& source, unsigned messages) {
    unsigned count = 0;
    for (unsigned i = 0; i < messages; ++i) count += meter_.is_under_load(source, now_) ? 1u : 0u;
    return count;
  }
  /// One message from each of `sources` addresses beginning with `first`.
  unsigned demanded_from_many(std::uint32_t first, std::uint32_t sources) {
    unsigned count = 0;
    for (std::uint32_t i = 0; i < sources; ++i) count += demanded(v4(first + i), 1);
    return count;
  }

  LoadMeter meter_;
  Timestamp now_{1h};
};

TEST_F(LoadMeterTest, a_source_is_under_load_after_256_messages_at_once) {
  EXPECT_EQ(demanded(alice, 256), 0u);
  EXPECT_EQ(demanded(alice, 1), 1u);
}

TEST_F(LoadMeterTest, everybody_is_under_load_after_512_messages_at_once) {
  EXPECT_EQ(demanded_from_many(1, 512), 0u);
  EXPECT_EQ(demanded_from_many(1000, 1), 1u);
  EXPECT_EQ(demanded(alice, 1), 1u);
}

TEST_F(LoadMeterTest, a_flood_from_one_address_leaves_the_rest_in_peace) {
  EXPECT_EQ(demanded(alice, 100000), 100000u - 256u);
  EXPECT_EQ(demanded(bob, 256), 0u);
}

TEST_F(LoadMeterTest, a_lasting_flood_from_one_address_leaves_the_rest_in_peace) {
  for (int i = 0; i < 5000; ++i) {
    now_ += 1ms;
    static_cast<void>(demanded(alice, 100));
    ASSERT_EQ(demanded(bob, 1), 0u) << i << " ms";
  }
}

TEST_F(LoadMeterTest, a_source_within_its_rate_is_never_under_load) {
  for (int i = 0; i < 1280 * 3; ++i) {
    now_ += std::chrono::nanoseconds(1s) / 1280;
    ASSERT_EQ(demanded(alice, 1), 0u) << i;
  }
}

TEST_F(LoadMeterTest, all_sources_within_the_common_rate_are_never_under_load) {
  for (std::uint32_t i = 0; i < 2560 * 3; ++i) {
    now_ += std::chrono::nanoseconds(1s) / 2560;
    ASSERT_EQ(demanded_from_many(i, 1), 0u) << i;
  }
}

TEST_F(LoadMeterTest, drains_at_its_rate) {
  ASSERT_EQ(demanded(alice, 256), 0u);
  now_ += 100ms;
  EXPECT_EQ(demanded(alice, 128), 0u);
  EXPECT_EQ(demanded(alice, 1), 1u);

  now_ += 10s;
  ASSERT_EQ(demanded_from_many(1, 512), 0u);
  now_ += 100ms;
  EXPECT_EQ(demanded_from_many(1001, 256), 0u);
  EXPECT_EQ(demanded_from_many(2001, 1), 1u);
}

TEST_F(LoadMeterTest, load_ends_a_second_after_the_last_overflow) {
  ASSERT_EQ(demanded_from_many(1, 513), 1u);
  now_ += limits::under_load_time - 1ns;
  EXPECT_EQ(demanded(alice, 1), 1u);
  now_ += 1ns;
  EXPECT_EQ(demanded(alice, 1), 0u);
}

TEST_F(LoadMeterTest, the_load_of_a_source_ends_a_second_after_its_last_overflow) {
  ASSERT_EQ(demanded(alice, 257), 1u);
  now_ += limits::under_load_time - 1ns;
  EXPECT_EQ(demanded(alice, 1), 1u);
  now_ += 1ns;
  EXPECT_EQ(demanded(alice, 1), 0u);
}

TEST_F(LoadMeterTest, a_flood_however_long_is_forgotten_a_second_after_it_ends) {
  for (std::uint32_t i = 0; i < 100; ++i) {
    now_ += 100ms;
    static_cast<void>(demanded_from_many(i * 700, 700));
  }
  EXPECT_EQ(demanded(alice, 1), 1u);
  now_ += limits::under_load_time;
  EXPECT_EQ(demanded(alice, 1), 0u);
}

TEST_F(LoadMeterTest, takes_an_ipv6_64_for_one_source) {
  EXPECT_EQ(demanded(*Address::parse("2001:db8::1"), 256), 0u);
  EXPECT_EQ(demanded(*Address::parse("2001:db8::2"), 1), 1u);
  EXPECT_EQ(demanded(*Address::parse("2001:db8:0:1::1"), 1), 0u);
}

TEST_F(LoadMeterTest, is_bounded_and_recovers) {
  constexpr auto max = static_cast<std::uint32_t>(limits::rate_limiter_entries_max);
  static_cast<void>(demanded_from_many(0, max + 100));
  EXPECT_EQ(meter_.size(), limits::rate_limiter_entries_max);
  EXPECT_EQ(demanded_from_many(max + 200, 1), 1u) << "counts for all without an entry of its own";
  now_ += 2s;
  EXPECT_EQ(demanded(alice, 1), 0u);
  EXPECT_EQ(meter_.size(), 1u);
}

TEST_F(LoadMeterTest, keeps_a_source_that_has_not_drained_when_it_forgets_idle_ones) {
  ASSERT_EQ(demanded(bob, 1), 0u);
  now_ += 950ms;
  ASSERT_EQ(demanded(alice, 256), 0u);
  now_ += 50ms;
  EXPECT_EQ(demanded(alice, 65), 1u);
  EXPECT_EQ(meter_.size(), 1u);
}

TEST_F(LoadMeterTest, keeps_a_loaded_source_when_it_forgets_idle_ones) {
  ASSERT_EQ(demanded(bob, 1), 0u);
  now_ += 900ms;
  ASSERT_EQ(demanded(alice, 257), 1u);
  now_ += 500ms;
  EXPECT_EQ(demanded(alice, 1), 1u);
  EXPECT_EQ(meter_.size(), 1u);
}

}  // namespace
}  // namespace culvert
