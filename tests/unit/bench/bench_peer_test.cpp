// Whom the words of a command mean among the peers of all tunnels.
#include "culvert/bench/bench_peer.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace culvert {
namespace {

const std::vector<PeerOfTunnel> peers{
    {"wan", "AAAA", "office", "192.0.2.1:51820", {"10.1.0.0/16", "fd01::/64"}},
    {"wan", "BBBB", "", "192.0.2.2:51820", {"10.1.2.3/32"}},
    {"lan", "CCCC", "backup", "[2001:db8::1]:7", {"0.0.0.0/0"}},
    {"lan", "DDDD", "backup", "", {}},
    {"vpn", "AAAA", "", "192.0.2.9:1", {}},
};

std::string key_of(std::string_view words) {
  return find_bench_peer(peers, words).tunnel + " " + find_bench_peer(peers, words).key;
}

std::string refusal_of(std::string_view words) {
  try {
    (void)find_bench_peer(peers, words);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

TEST(FindBenchPeer, knows_names_keys_endpoints_and_addresses) {
  EXPECT_EQ(key_of("office"), "wan AAAA");
  EXPECT_EQ(key_of("BBBB"), "wan BBBB");
  EXPECT_EQ(key_of("192.0.2.2:51820"), "wan BBBB");
  EXPECT_EQ(key_of("[2001:db8::1]:7"), "lan CCCC");
  EXPECT_EQ(key_of("2001:db8::1"), "lan CCCC") << "an endpoint without its port";
  EXPECT_EQ(key_of("fd01::5"), "wan AAAA");
}

TEST(FindBenchPeer, takes_the_longest_prefix) {
  EXPECT_EQ(key_of("10.1.2.3"), "wan BBBB");
  EXPECT_EQ(key_of("10.1.2.4"), "wan AAAA");
  EXPECT_EQ(key_of("203.0.113.1"), "lan CCCC") << "the default route is everybody else's";
}

TEST(FindBenchPeer, says_where_it_looked) {
  EXPECT_EQ(refusal_of("nobody").substr(0, 46), "no peer 'nobody' in wan and lan and vpn: a Nam");
  EXPECT_EQ(refusal_of("fd99::1").substr(0, 20), "no peer 'fd99::1' in");
  EXPECT_NE(refusal_of("a\x1b[2J").find("no peer"), std::string::npos);
  EXPECT_EQ(refusal_of("a\x1b[2J").find('\x1b'), std::string::npos);
  EXPECT_THROW((void)find_bench_peer({}, "office"), std::runtime_error);
}

TEST(FindBenchPeer, does_not_guess) {
  EXPECT_EQ(refusal_of("backup"), "'backup' is more than one peer, in lan: give its public key, or the tunnel");
  EXPECT_EQ(refusal_of("AAAA"), "'AAAA' is more than one peer, in wan and vpn: give its public key, or the tunnel");
  EXPECT_NE(refusal_of(""), "") << "peers without a name are not meant by none";
}

}  // namespace
}  // namespace culvert
