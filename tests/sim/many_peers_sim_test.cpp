// One device with ten thousand peers, each of which has its handshake and its packets.
#include <gtest/gtest.h>

#include <chrono>

#include "support/peer_pair.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

Address numbered(std::uint32_t first_byte, std::uint32_t number) {
  std::array<std::byte, 4> bytes;
  store<Be32>(bytes.data(), (first_byte << 24) | number);
  return Address::from_bytes(Family::V4, bytes);
}

TEST(ManyPeers, ten_thousand_peers_have_a_handshake_and_a_packet_both_ways_each) {
  constexpr std::uint32_t peers = 10'000;
  EngineNode server(1, limits::default_mtu, {numbered(192, 1), 51820, 0}, numbered(10, 0));
  Now now{Timestamp(1h), WallTime(std::chrono::hours(24 * 365 * 50))};
  for (std::uint32_t number = 1; number <= peers; ++number) {
    EngineNode client(1000 + number, limits::default_mtu, {numbered(172, number), 51820, 0}, numbered(10, number));
    (void)server.add_peer(client, false);
    (void)client.add_peer(server);
    // Slow enough not to count as a flood.
    now.time += 1ms;
    now.wall += 1ms;

    client.engine.on_frame(PacketBuilder{client.inner, server.inner}.udp_of_size(100), now, client.out);
    for (int leg = 0; leg < 3; ++leg) {
      for (const SentDatagram& datagram : client.out.take()) server.receive(client.endpoint, datagram.bytes, now);
      for (const SentDatagram& datagram : server.out.take()) client.receive(server.endpoint, datagram.bytes, now);
    }
    ASSERT_EQ(server.frames.take().size(), 1u) << "peer " << number;
    server.engine.on_frame(PacketBuilder{server.inner, client.inner}.udp_of_size(100), now, server.out);
    const auto sent = server.out.take();
    ASSERT_EQ(sent.size(), 1u);
    ASSERT_EQ(sent[0].path.remote, client.endpoint);
    client.receive(server.endpoint, sent[0].bytes, now);
    ASSERT_EQ(client.frames.take().size(), 1u) << "peer " << number;
  }
  EXPECT_EQ(server.engine.peers().size(), peers);
  EXPECT_EQ(server.engine.peers().index_count(), peers) << "one session each, nothing left over";
  EXPECT_EQ(server.engine.drops(), DropCounters());
}

}  // namespace
}  // namespace culvert
