// Any datagrams into an engine that is in any state: without a key they get nothing and change nothing. With one, they
// carry anything inside: only packets of the peer's own addresses come out.
#include <algorithm>
#include <chrono>
#include <vector>

#include "require.hpp"
#include "support/engine_snapshot.hpp"
#include "support/peer_pair.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

/// What is put right in a datagram before it is sent, so that it gets past the first checks.
enum Repair : unsigned { Index = 1, Mac1 = 2, Sealed = 4 };

class Target {
 public:
  explicit Target(unsigned state) {
    if (state % 4 != 0) pair_.handshake();
    // Whatever is computed when first needed is computed now.
    if (state % 4 == 2) {
      pair_.advance(180s);
      pair_.send(pair_.b, pair_.a);
      pair_.b.out.take();
    }
    if (state % 4 == 3) pair_.advance(179s);
  }

  void strike(ByteView given, unsigned repair) {
    if ((repair & Sealed) != 0) return carry(given);
    Bytes datagram(given.begin(), given.end());
    const bool is_handshake = datagram.size() == 148 || datagram.size() == 92;
    if ((repair & Index) != 0 && datagram.size() >= 12) {
      const Peer& peer = pair_.peer_at_b();
      const Session* session = peer.sessions.current();
      const bool is_response = datagram.size() == 92;
      const SessionIndex index = session && !is_response ? session->local_index() : peer.handshake.local_index();
      store<Le32>(&datagram[is_response ? 8 : 4], index.value());
    }
    if ((repair & Mac1) != 0 && is_handshake) CookieHolder(pair_.b.public_key).add_macs(datagram, pair_.now.time);

    const EngineSnapshot before(pair_.b.engine);
    pair_.b.receive(stranger_, datagram, pair_.now);
    require(EngineSnapshot(pair_.b.engine) == before, "who is not authenticated changes nothing");
    require(pair_.b.frames.take().empty(), "who is not authenticated has nothing delivered");
    require(pair_.b.out.sent_bytes() <= (is_handshake ? 64U : 0U), "who is not authenticated gets a cookie at most");
    pair_.b.out.take();
  }

 private:
  /// The peer itself sends `inside`.
  void carry(ByteView inside) {
    auto* session = const_cast<Session*>(pair_.peer_at_a().sessions.current());
    if (!session || !session->can_seal(pair_.now.time) || inside.size() > 2000) return;
    Bytes datagram(Session::sealed_size(inside.size(), limits::default_mtu));
    session->seal(inside, datagram);
    pair_.b.receive(pair_.a.endpoint, datagram, pair_.now, static_cast<std::uint8_t>(inside.size()));
    const auto frames = pair_.b.frames.take();
    pair_.b.out.take();
    require(frames.size() <= 1, "one datagram carries one frame");
    for (const Bytes& frame : frames) {
      require(frame.size() >= 20 && frame.size() <= inside.size() + 15, "a frame lies within its datagram");
      require((frame[0] >> 4) == std::byte{4}, "a frame is of a family the peer may use");
      require(Address::from_bytes(Family::V4, ByteView(frame).subspan(12)) == pair_.a.inner, "a source is the peer's");
    }
  }

  PeerPair pair_{1};
  const Endpoint stranger_ = *Endpoint::parse("203.0.113.66:666");
};

void run(ByteView input) {
  if (input.empty()) return;
  Target target(std::to_integer<unsigned>(input[0]));
  input = input.subspan(1);
  for (int count = 0; count < 50 && input.size() >= 3; ++count) {
    const auto repair = std::to_integer<unsigned>(input[0]);
    const std::size_t size = std::min<std::size_t>(load<Be16>(&input[1]), input.size() - 3);
    target.strike(input.subspan(3, size), repair);
    input = input.subspan(3 + size);
  }
}

}  // namespace
}  // namespace culvert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  culvert::run(culvert::ByteView(reinterpret_cast<const std::byte*>(data), size));
  return 0;
}
