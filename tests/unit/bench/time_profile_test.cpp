#include "culvert/bench/time_profile.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>

namespace culvert {
namespace {

TEST(KernelSymbolsTest, an_address_belongs_to_the_function_that_begins_before_it) {
  const KernelSymbols symbols(
      "ffffffff81000100 T udp_sendmsg\n"
      "ffffffff81000200 T rep_movs_alternative\n"
      "ffffffff81000300 t tun_do_read\t[tun]\n"
      "ffffffff81000400 t memcpy\t[lib]\n");
  EXPECT_FALSE(symbols.is_copying(0xffffffff81000000));
  EXPECT_FALSE(symbols.is_copying(0xffffffff810001ff));
  EXPECT_TRUE(symbols.is_copying(0xffffffff81000200));
  EXPECT_TRUE(symbols.is_copying(0xffffffff810002ff));
  EXPECT_FALSE(symbols.is_copying(0xffffffff81000300));
  EXPECT_TRUE(symbols.is_copying(0xffffffff81000400));
}

TEST(KernelSymbolsTest, hidden_addresses_are_none) {
  EXPECT_TRUE(KernelSymbols("0000000000000000 T memcpy\n0000000000000000 T udp_sendmsg\n").is_empty());
  EXPECT_TRUE(KernelSymbols("nonsense\n\nffff\n").is_empty());
}

TEST(TimeProfileTest, sees_where_this_process_is) {
  if (const auto obstacle = TimeProfile::obstacle()) GTEST_SKIP() << *obstacle;
  const KernelSymbols symbols = KernelSymbols::load();
  const std::array<pid_t, 1> self{::getpid()};
  TimeProfile profile(symbols, self);
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(400);
  volatile unsigned counter = 0;
  while (std::chrono::steady_clock::now() < until) {
    for (int i = 0; i < 100'000; ++i) counter = counter + 1;
  }
  const auto shares = profile.end();
  ASSERT_TRUE(shares);
  EXPECT_GT(shares->engine, 0.5);
  EXPECT_NEAR(shares->engine + shares->crypto + shares->copies + shares->kernel, 1, 1e-9);
}

TEST(TimeProfileTest, of_a_process_that_is_not_there_there_is_none) {
  if (const auto obstacle = TimeProfile::obstacle()) GTEST_SKIP() << *obstacle;
  const KernelSymbols symbols("");
  const std::array<pid_t, 1> nobody{0x3fffffff};
  EXPECT_THROW(TimeProfile(symbols, nobody), std::system_error);
}

}  // namespace
}  // namespace culvert
