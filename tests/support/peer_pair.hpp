// Two engines that know each other, with every datagram in the test's hands.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "culvert/crypto/initialize.hpp"
#include "culvert/crypto/key_exchange.hpp"
#include "culvert/engine/engine.hpp"
#include "support/packet_builder.hpp"
#include "support/recording_sinks.hpp"
#include "support/seeded_random.hpp"

namespace culvert {

/// An engine with a key of its own, its sinks, and the addresses it is known by.
struct EngineNode {
  EngineNode(std::uint64_t seed, std::size_t mtu, Endpoint where, Address inside)
      : random((initialize_crypto(), seed)), engine(random, mtu), endpoint(where), inner(inside) {
    SecretKey secret = generate_secret_key(random);
    public_key = public_key_of(secret);
    engine.set_private_key(std::move(secret));
  }

  /// Makes `other` a peer that may use its inner address. With `where`, it can be reached at once.
  PeerId add_peer(const EngineNode& other, bool with_endpoint = true) {
    const PeerId id = engine.ensure_peer(other.public_key)->id;
    engine.add_allowed_ip(id, {other.inner, static_cast<std::uint8_t>(other.inner.bits())});
    if (with_endpoint) engine.set_endpoint(id, other.endpoint);
    return id;
  }

  /// A copy of `datagram` arrives from `from`.
  void receive(const Endpoint& from, ByteView datagram, const Now& now, std::uint8_t traffic_class = 0) {
    Bytes copy(datagram.begin(), datagram.end());
    engine.on_datagram(Path{from, {}, 0}, traffic_class, copy, now, frames, out);
  }

  [[nodiscard]] std::uint64_t dropped(DropReason reason) const { return engine.drops()[reason]; }

  SeededRandom random;
  Engine engine;
  Endpoint endpoint;
  Address inner;
  PublicKey public_key;
  RecordingDatagramSink out;
  RecordingFrameSink frames;
};

/// `a` and `b` are peers of each other; a knows where b is, b learns where a is. No session yet.
class PeerPair {
 public:
  explicit PeerPair(std::uint64_t seed = 1, std::size_t mtu = limits::default_mtu)
      : a(seed * 2, mtu, *Endpoint::parse("192.0.2.1:1001"), *Address::parse("10.0.0.1")),
        b(seed * 2 + 1, mtu, *Endpoint::parse("192.0.2.2:1002"), *Address::parse("10.0.0.2")),
        b_at_a(a.add_peer(b)),
        a_at_b(b.add_peer(a, false)) {}

  void advance(Timestamp::duration by) {
    now.time += by;
    now.wall += by;
  }

  /// A frame from one node's inner address to the other's.
  [[nodiscard]] Bytes frame(const EngineNode& from, const EngineNode& to, std::size_t size = 100) const {
    return PacketBuilder{from.inner, to.inner}.udp_of_size(size);
  }

  void send(EngineNode& from, const EngineNode& to, std::size_t size = 100) {
    from.engine.on_frame(frame(from, to, size), now, from.out);
  }

  /// All that `from` has sent arrives at `to`; returns how many datagrams.
  std::size_t deliver(EngineNode& from, EngineNode& to) {
    const std::vector<SentDatagram> sent = from.out.take();
    for (const SentDatagram& datagram : sent) to.receive(from.endpoint, datagram.bytes, now, datagram.traffic_class);
    return sent.size();
  }

  /// Delivers in both directions until neither has anything to say.
  void exchange() {
    while (deliver(a, b) + deliver(b, a) > 0) {
    }
  }

  /// a opens a session by sending a frame, which b gets; both directions work afterwards.
  void handshake() {
    send(a, b);
    exchange();
    b.frames.take();
  }

  /// After handshake(): b acknowledges, and from then on neither owes the other anything.
  void settle() {
    advance(limits::keepalive_timeout);
    b.engine.on_deadline(now, b.out);
    exchange();
  }

  [[nodiscard]] const Peer& peer_at_a() const { return *a.engine.find_peer(b_at_a); }
  [[nodiscard]] const Peer& peer_at_b() const { return *b.engine.find_peer(a_at_b); }

  Now now{Timestamp(std::chrono::hours(1)), WallTime(std::chrono::seconds(1'700'000'000))};
  EngineNode a;
  EngineNode b;
  PeerId b_at_a;
  PeerId a_at_b;
};

}  // namespace culvert
