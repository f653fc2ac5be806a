// Reading and writing endpoints.
#include "culvert/base/endpoint.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(Endpoint, reads_and_writes_the_same_text) {
  for (const std::string_view text : {"192.0.2.1:51820", "0.0.0.0:0", "192.0.2.1:65535", "[2001:db8::1]:51820",
                                      "[::]:1", "[fe80::1%3]:51820", "[fe80::1%4294967295]:9", "[fe80::1]:51820"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->to_string(), text);
  }
}

TEST(Endpoint, has_its_parts) {
  const auto v4 = Endpoint::parse("192.0.2.1:51820");
  EXPECT_EQ(v4, (Endpoint{Address::parse("192.0.2.1").value(), 51820, 0}));
  const auto v6 = Endpoint::parse("[fe80::1%3]:443");
  EXPECT_EQ(v6, (Endpoint{Address::parse("fe80::1").value(), 443, 3}));
}

TEST(Endpoint, text_that_is_no_endpoint_is_refused) {
  for (const std::string_view text : {"",
                                      ":",
                                      "192.0.2.1",
                                      "192.0.2.1:",
                                      ":51820",
                                      "192.0.2.1:65536",
                                      "192.0.2.1:-1",
                                      "192.0.2.1:+1",
                                      "192.0.2.1:080",
                                      "192.0.2.1: 80",
                                      "192.0.2.1:80 ",
                                      " 192.0.2.1:80",
                                      "192.0.2.1:http",
                                      "192.0.2.1:80:80",
                                      "example.org:80",
                                      "192.0.2:80",
                                      "[::1]",
                                      "[::1]:",
                                      "[::1]80",
                                      "[::1:80",
                                      "::1]:80",
                                      "[]:80",
                                      "[:80",
                                      "]:80",
                                      "[::1]:65536",
                                      "[::1]x:80",
                                      "x[::1]:80",
                                      "x::1]:80",
                                      "[::1x:80",
                                      "[[::1]]:80",
                                      "[ ::1]:80"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << '"' << text << '"';
  }
}

TEST(Endpoint, brackets_belong_to_ipv6_and_only_to_it) {
  EXPECT_FALSE(Endpoint::parse("[192.0.2.1]:80"));
  EXPECT_FALSE(Endpoint::parse("2001:db8::1:80"));
  EXPECT_FALSE(Endpoint::parse("::1:80"));
}

TEST(Endpoint, an_ipv4_address_written_as_ipv6_is_refused) {
  EXPECT_FALSE(Endpoint::parse("[::ffff:192.0.2.1]:80"));
  EXPECT_FALSE(Endpoint::parse("[::ffff:c000:201]:80"));
  EXPECT_TRUE(Endpoint::parse("[::fffe:c000:201]:80"));
  EXPECT_TRUE(Endpoint::parse("[::feff:c000:201]:80"));
  EXPECT_TRUE(Endpoint::parse("[::1:ffff:c000:201]:80"));
  EXPECT_TRUE(Endpoint::parse("[1::ffff:c000:201]:80"));
}

TEST(Endpoint, a_scope_is_a_number_above_zero) {
  for (const std::string_view text : {"[fe80::1%eth0]:80", "[fe80::1%]:80", "[fe80::1%0]:80", "[fe80::1%03]:80",
                                      "[fe80::1%-1]:80", "[fe80::1%4294967296]:80", "[fe80::1%3%3]:80", "[%3]:80"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << '"' << text << '"';
  }
}

TEST(Endpoint, only_link_local_addresses_have_a_scope) {
  EXPECT_TRUE(Endpoint::parse("[febf:ffff::1%3]:80"));
  EXPECT_FALSE(Endpoint::parse("[fec0::1%3]:80"));
  EXPECT_FALSE(Endpoint::parse("[fe7f::1%3]:80"));
  EXPECT_FALSE(Endpoint::parse("[ff80::1%3]:80"));
  EXPECT_FALSE(Endpoint::parse("[2001:db8::1%3]:80"));
  EXPECT_FALSE(Endpoint::parse("192.0.2.1%3:80"));
}

TEST(Endpoint, differs_by_each_of_its_parts) {
  const Endpoint endpoint = Endpoint::parse("[fe80::1%3]:80").value();
  EXPECT_NE(endpoint, Endpoint::parse("[fe80::2%3]:80"));
  EXPECT_NE(endpoint, Endpoint::parse("[fe80::1%4]:80"));
  EXPECT_NE(endpoint, Endpoint::parse("[fe80::1%3]:81"));
}

}  // namespace
}  // namespace culvert
