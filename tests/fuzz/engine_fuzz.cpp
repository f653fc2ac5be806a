// A byte string as the script of two engines and the network between them: frames, loss, repetition, reordering,
// mutation, garbage, time. Whatever it says, nothing arrives that was not sent, and afterwards the two get through to
// each other.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <vector>

#include "require.hpp"
#include "support/packet_builder.hpp"
#include "support/peer_pair.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

class Script {
 public:
  explicit Script(ByteView bytes) : bytes_(bytes) {}
  [[nodiscard]] bool is_over() const { return bytes_.empty(); }
  unsigned byte() {
    if (bytes_.empty()) return 0;
    const auto value = std::to_integer<unsigned>(bytes_.front());
    bytes_ = bytes_.subspan(1);
    return value;
  }
  unsigned word() {
    const unsigned high = byte();
    return high << 8 | byte();
  }
  ByteView bytes(std::size_t count) {
    const ByteView taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

 private:
  ByteView bytes_;
};

struct InFlight {
  Bytes bytes;
  Bytes original = bytes;
};

class Play {
 public:
  void run(Script script) {
    for (int step = 0; step < 400 && !script.is_over(); ++step) {
      act(script);
      check();
    }
    converge();
  }

 private:
  EngineNode& node(unsigned which) { return which % 2 == 0 ? pair_.a : pair_.b; }
  const Peer& peer(unsigned which) { return which % 2 == 0 ? pair_.peer_at_a() : pair_.peer_at_b(); }

  void act(Script& script) {
    const unsigned operation = script.byte();
    const unsigned side = operation / 16;
    switch (operation % 16) {
      case 0:
      case 1:
        send(side, 36 + script.word() % 1400);
        break;
      case 2:
      case 3:
      case 4:
        deliver(side, 0, true);
        break;
      case 5:
        deliver(side, script.byte(), true);
        break;
      case 6:
        deliver(side, script.byte(), false);
        break;
      case 7:
        if (!to_[side % 2].empty()) to_[side % 2].pop_front();
        break;
      case 8:
        mutate(side, script);
        break;
      case 9:
        pass(std::chrono::milliseconds(script.word()));
        break;
      case 10:
        pass(std::chrono::seconds(script.byte()));
        break;
      case 11:
        // A machine that is late, or slept.
        pair_.advance(std::chrono::seconds(script.byte() * 4));
        break;
      case 12: {
        const std::size_t size = script.word() % 300;
        node(side).receive(stranger_, script.bytes(size), pair_.now);
        break;
      }
      case 13: {
        PresharedKey psk;
        std::fill(psk.writable_bytes().begin(), psk.writable_bytes().end(), std::byte(script.byte() % 4));
        pair_.a.engine.set_preshared_key(pair_.b_at_a, psk.clone());
        pair_.b.engine.set_preshared_key(pair_.a_at_b, std::move(psk));
        break;
      }
      case 14:
        node(side).engine.set_persistent_keepalive(side % 2 == 0 ? pair_.b_at_a : pair_.a_at_b,
                                                   std::chrono::seconds(script.byte() % 30), pair_.now);
        break;
      default:
        node(side).out.is_full = !node(side).out.is_full;
    }
    collect();
  }

  std::size_t send(unsigned side, std::size_t size) {
    const EngineNode& from = node(side);
    const EngineNode& to = node(side + 1);
    Bytes payload(size - 28);
    store<Le64>(payload.data(), std::uint64_t{sent_.size()});
    sent_.push_back({PacketBuilder{from.inner, to.inner}.udp(payload), (side + 1) % 2, false});
    node(side).engine.on_frame(sent_.back().bytes, pair_.now, node(side).out);
    collect();
    return sent_.size() - 1;
  }

  void deliver(unsigned side, std::size_t index, bool takes_it) {
    auto& queue = to_[side % 2];
    if (queue.empty()) return;
    const auto place = queue.begin() + static_cast<std::ptrdiff_t>(index % queue.size());
    const InFlight datagram = *place;
    if (takes_it) queue.erase(place);
    const bool is_authentic = datagram.bytes == datagram.original;
    node(side).receive(is_authentic ? node(side + 1).endpoint : stranger_, datagram.bytes, pair_.now);
  }

  void mutate(unsigned side, Script& script) {
    auto& queue = to_[side % 2];
    if (queue.empty()) return;
    InFlight& datagram = queue[script.byte() % queue.size()];
    const std::size_t size = datagram.bytes.size();
    // The last field of a handshake message, mac2, is not looked at without load: such a change goes unnoticed.
    const std::size_t covered = datagram.original[0] == std::byte{4} ? size : size - 16;
    const std::size_t at = script.word() % covered;
    datagram.bytes[at] = static_cast<std::byte>(script.byte());
  }

  void pass(Timestamp::duration by) {
    const Timestamp end = pair_.now.time + by;
    for (;;) {
      Timestamp next = end;
      for (const EngineNode* each : {&pair_.a, &pair_.b}) {
        if (const auto deadline = each->engine.next_deadline()) next = std::min(next, *deadline);
      }
      pair_.advance(std::max(next - pair_.now.time, Timestamp::duration(0)));
      bool was_due = false;
      for (EngineNode* each : {&pair_.a, &pair_.b}) {
        const auto deadline = each->engine.next_deadline();
        if (!deadline || *deadline > pair_.now.time) continue;
        was_due = true;
        each->engine.on_deadline(pair_.now, each->out);
        const auto following = each->engine.next_deadline();
        require(!following || *following > pair_.now.time, "what was due is done");
      }
      collect();
      if (!was_due && pair_.now.time >= end) return;
    }
  }

  void collect() {
    for (unsigned side = 0; side < 2; ++side) {
      for (SentDatagram& datagram : node(side).out.take()) {
        require(datagram.path.remote == node(side + 1).endpoint, "datagrams go to the peer only");
        require(datagram.bytes.size() >= 32, "every message has a header and a tag");
        if (to_[(side + 1) % 2].size() < 64) to_[(side + 1) % 2].push_back({std::move(datagram.bytes)});
      }
      for (const Bytes& frame : node(side).frames.take()) {
        require(frame.size() >= 36, "a frame is one that was sent");
        const std::uint64_t number = load<Le64>(&frame[28]);
        require(number < sent_.size(), "a frame is one that was sent");
        require(sent_[number].to == side, "a frame is for its receiver");
        require(sent_[number].bytes == frame, "a frame is what was sent");
        require(!sent_[number].was_delivered, "a frame comes once");
        sent_[number].was_delivered = true;
      }
      while (node(side).engine.poll_event()) {
      }
    }
  }

  void check() {
    for (unsigned side = 0; side < 2; ++side) {
      require(node(side).engine.peers().index_count() <= 4, "a peer has at most four indices");
      require(!peer(side).path || peer(side).path->remote == node(side + 1).endpoint, "nobody else moves the endpoint");
      require(peer(side).staged.size() <= limits::staged_frames_max, "frames wait in bounded number");
    }
  }

  void converge() {
    for (unsigned side = 0; side < 2; ++side) {
      node(side).out.is_full = false;
      to_[side].clear();
    }
    bool arrived = false;
    for (int second = 0; second < 60; ++second) {
      const std::size_t from_a = send(0, 100);
      const std::size_t from_b = send(1, 100);
      while (!to_[0].empty() || !to_[1].empty()) {
        for (unsigned side = 0; side < 2; ++side) {
          deliver(side, 0, true);
          collect();
        }
      }
      pass(1s);
      check();
      // b may not know where a is before a spoke.
      arrived = sent_[from_a].was_delivered && sent_[from_b].was_delivered;
    }
    require(arrived, "the two get through to each other in the end");
  }

  struct Sent {
    Bytes bytes;
    unsigned to;
    bool was_delivered;
  };

  PeerPair pair_{1};
  std::deque<InFlight> to_[2];
  std::vector<Sent> sent_;
  const Endpoint stranger_ = *Endpoint::parse("203.0.113.66:666");
};

}  // namespace
}  // namespace culvert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  culvert::Play().run(culvert::Script(culvert::ByteView(reinterpret_cast<const std::byte*>(data), size)));
  return 0;
}
