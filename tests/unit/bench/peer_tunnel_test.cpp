// How a tunnel that runs is set up, by what its daemon says.
#include "culvert/bench/peer_tunnel.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace culvert {
namespace {

BenchTunnel tunnel_with(const std::string& device, const std::string& sending, const std::string& mode = "tun") {
  BenchTunnel tunnel;
  tunnel.mode = mode;
  tunnel.cipher = "aes-256-gcm";
  tunnel.mtu = 1400;
  tunnel.queues = 3;
  tunnel.offloads = {{"device", device}, {"sending", sending}, {"receiving", "UDP_GRO"}};
  return tunnel;
}

TEST(ArrangementOf, is_that_of_the_daemon) {
  const Arrangement arrangement = arrangement_of(tunnel_with("TSO, USO", "UDP_SEGMENT"));
  EXPECT_EQ(arrangement.cipher, CipherSuite::Aes256Gcm);
  EXPECT_EQ(arrangement.mtu, 1400U);
  EXPECT_EQ(arrangement.queues, 3U);
}

TEST(ArrangementOf, knows_the_rungs_of_offloads) {
  const char* const one = "one packet at a time (Offloads = off)";
  EXPECT_EQ(arrangement_of(tunnel_with("TSO, USO", "UDP_SEGMENT")).offloads, OffloadRung::On);
  EXPECT_EQ(arrangement_of(tunnel_with("TSO (no USO)", one)).offloads, OffloadRung::Device);
  EXPECT_EQ(arrangement_of(tunnel_with(one, "UDP_SEGMENT")).offloads, OffloadRung::Udp);
  EXPECT_EQ(arrangement_of(tunnel_with(one, one)).offloads, OffloadRung::Off);
}

TEST(ArrangementOf, knows_a_tap_in_a_bridge) {
  BenchTunnel tunnel = tunnel_with("TSO", "UDP_SEGMENT", "tap");
  EXPECT_EQ(arrangement_of(tunnel).mode, BenchMode::Tap);
  tunnel.is_bridge_port = true;
  EXPECT_EQ(arrangement_of(tunnel).mode, BenchMode::BridgedTap);
  EXPECT_EQ(arrangement_of(tunnel_with("TSO", "UDP_SEGMENT")).mode, BenchMode::Tun);
}

TEST(ArrangementOf, refuses_a_cipher_that_it_does_not_know) {
  BenchTunnel tunnel;
  tunnel.cipher = "rot13";
  EXPECT_THROW((void)arrangement_of(tunnel), std::runtime_error);
}

TEST(RateWords, are_exact_for_small_rates) {
  EXPECT_EQ(rate_words(8'000'000), "8 Mbit/s");
  EXPECT_EQ(rate_words(2'500'000'000), "2.5 Gbit/s");
  EXPECT_EQ(rate_words(64'000), "64 kbit/s");
  EXPECT_EQ(rate_words(500), "500 bit/s");
}

}  // namespace
}  // namespace culvert
