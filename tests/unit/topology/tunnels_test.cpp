// What is taken from a tunnel's own account of itself.
#include "../../../src/topology/tunnels.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <system_error>

#include "culvert/topology/render.hpp"
#include "scenes.hpp"
#include "support/crypto_ready.hpp"

namespace culvert::topology::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Its public key is what `wg pubkey` says.
constexpr std::string_view private_hex = "77076d0a7318a57d3c16c17251b26645ac6a45ab3de60b8da4d2b3d9f5a9d0a8";
constexpr std::string_view shared_hex = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

std::string answer() {
  return "private_key=" + std::string(private_hex) +
         "\nlisten_port=51820\nculvert_pid=7\n"
         "public_key=de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f\npreshared_key=" +
         std::string(shared_hex) +
         "\nendpoint=192.0.2.1:51820\nlast_handshake_time_sec=1000\nculvert_name=site-b\n"
         "allowed_ip=10.9.0.2/32\nallowed_ip=fd09::/64\n"
         "public_key=0000000000000000000000000000000000000000000000000000000000000001\nlast_handshake_time_sec=0\n"
         "errno=0\n";
}

TEST(Tunnels, are_read_from_what_a_culvert_answers) {
  const Tunnel tunnel = tunnel_from(answer(), 1042);
  EXPECT_TRUE(tunnel.is_culvert);
  EXPECT_EQ(tunnel.listen_port, 51820U);
  ASSERT_EQ(tunnel.peers.size(), 2U);
  EXPECT_EQ(tunnel.peers[0].name, "site-b");
  EXPECT_EQ(tunnel.peers[0].public_key, "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=");
  EXPECT_EQ(tunnel.peers[0].endpoint, "192.0.2.1:51820");
  EXPECT_EQ(tunnel.peers[0].handshake_age, 42U);
  EXPECT_THAT(tunnel.peers[0].allowed_ips, ElementsAre("10.9.0.2/32", "fd09::/64"));
  EXPECT_EQ(tunnel.peers[1].handshake_age, std::nullopt);
}

TEST(Tunnels, of_others_are_no_culvert) {
  EXPECT_FALSE(tunnel_from("listen_port=1\nerrno=0\n", 0).is_culvert);
  EXPECT_EQ(tunnel_from("listen_port=1\nerrno=0\n", 0).public_key, "");
}

TEST(Tunnels, keep_no_secret) {
  Scene scene;
  const std::size_t host = scene.space("");
  scene.link(host, "wg0", "tun").tunnel = tunnel_from(answer(), 1042);
  const Topology topology = scene.joined();
  EXPECT_EQ(topology.find({host, 2})->tunnel->public_key, "BJU3s8huS3KR1vgq6G6JpCfowhRLZWSqItYYCef9M10=");
  for (const std::string& output : {to_tree(topology, {}), to_json(topology), to_svg(topology)}) {
    for (const std::string_view secret : {private_hex, shared_hex}) {
      EXPECT_THAT(output, Not(HasSubstr(std::string(secret))));
    }
    EXPECT_THAT(output, Not(HasSubstr("dwdtCnMYpX08FsFyUbJmRaxqRas95guNpNKz2fWp0Kg")));
    EXPECT_THAT(output, Not(HasSubstr("ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8")));
  }
}

TEST(Tunnels, survive_an_answer_that_is_none) {
  EXPECT_TRUE(tunnel_from("", 0).peers.empty());
  EXPECT_TRUE(tunnel_from("nonsense\n=\n\n==\nendpoint=1\nlisten_port=x\nprivate_key=zz", 0).peers.empty());
  EXPECT_EQ(tunnel_from("public_key=zz\n", 0).peers[0].public_key, "");
  EXPECT_EQ(tunnel_from("public_key=\nlast_handshake_time_sec=5\n", 3).peers[0].handshake_age, 0U);
}

TEST(Tunnels, are_none_where_nobody_serves_a_socket) {
  EXPECT_EQ(ask_for_tunnel(1, "no-such-device"), std::nullopt);
}

}  // namespace
}  // namespace culvert::topology::test
