// Ethernet frames, and engines that switch them for each other.
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "culvert/base/endian.hpp"
#include "culvert/base/mac_address.hpp"
#include "culvert/forwarding/ethernet_header.hpp"
#include "support/peer_pair.hpp"

namespace culvert {

inline constexpr MacAddress everybody(0xffffffffffff);

/// Builds frames from `source` to `destination`.
struct FrameBuilder {
  MacAddress destination;
  MacAddress source;
  std::uint16_t vlan = 0;         ///< 0: no tag
  std::uint16_t type = 0x88b6;    ///< local experimental ethertype 2
  std::size_t payload_size = 46;  ///< of frame()

  [[nodiscard]] Bytes around(ByteView payload) const {
    Bytes frame(vlan == 0 ? 14 : 18);
    destination.copy_to(frame);
    source.copy_to(ByteSpan(frame).subspan(6));
    if (vlan != 0) {
      store<Be16>(&frame[12], ethertype::customer_tag);
      store<Be16>(&frame[14], vlan);
    }
    store<Be16>(&frame[frame.size() - 2], type);
    frame.insert(frame.end(), payload.begin(), payload.end());
    return frame;
  }
  [[nodiscard]] Bytes frame() const { return around(Bytes(payload_size, std::byte{0x5a})); }
  /// Around an IP packet, with its type.
  [[nodiscard]] Bytes ip(ByteView packet) const {
    FrameBuilder builder = *this;
    builder.type = (packet[0] >> 4) == std::byte{4} ? ethertype::ipv4 : ethertype::ipv6;
    return builder.around(packet);
  }
  /// An ARP request of `sender`.
  [[nodiscard]] Bytes arp(const Address& sender, const Address& target) const {
    FrameBuilder builder = *this;
    builder.type = ethertype::arp;
    Bytes packet(28);
    store<Be16>(&packet[0], std::uint16_t{1});
    store<Be16>(&packet[2], ethertype::ipv4);
    store<Be16>(&packet[4], std::uint16_t{0x0604});
    store<Be16>(&packet[6], std::uint16_t{1});
    source.copy_to(ByteSpan(packet).subspan(8));
    copy_bytes(sender.bytes(), ByteSpan(packet).subspan(14));
    copy_bytes(target.bytes(), ByteSpan(packet).subspan(24));
    return builder.around(packet);
  }
};

/// Engines in switched mode; what one sends reaches whoever has the address it is sent to.
class SwitchedLan {
 public:
  static constexpr std::size_t mtu = 1500;

  explicit SwitchedLan(std::size_t count, std::uint64_t seed = 1) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::string last = std::to_string(i + 1);
      nodes_.emplace_back(seed * 100 + i, mtu, *Endpoint::parse("192.0.2." + last + ":1000"),
                          *Address::parse("10.0.0." + last));
      nodes_.back().engine.set_mode(DeviceMode::Switched);
    }
  }

  EngineNode& operator[](std::size_t i) { return nodes_[i]; }

  /// Each becomes a peer of the other. Returns what `b` is to `a`.
  PeerId connect(std::size_t a, std::size_t b) {
    const auto add = [](EngineNode& to, const EngineNode& other) {
      const PeerId id = to.engine.ensure_peer(other.public_key)->id;
      to.engine.set_endpoint(id, other.endpoint);
      return id;
    };
    add(nodes_[b], nodes_[a]);
    return add(nodes_[a], nodes_[b]);
  }
  /// What `other` is to `node`.
  PeerId id_at(std::size_t node, std::size_t other) {
    return nodes_[node].engine.find_peer(nodes_[other].public_key)->id;
  }

  void advance(Timestamp::duration by) {
    now.time += by;
    now.wall += by;
    for (EngineNode& node : nodes_) node.engine.on_deadline(now, node.out);
    exchange();
  }

  void send(std::size_t from, ByteView frame) {
    nodes_[from].engine.on_frame(frame, now, nodes_[from].out);
    exchange();
  }

  /// Delivers until nobody has anything to say. Returns how many datagrams.
  std::size_t exchange() {
    std::size_t count = 0;
    for (bool is_over = false; !is_over;) {
      is_over = true;
      for (EngineNode& from : nodes_) {
        for (const SentDatagram& datagram : from.out.take()) {
          is_over = false;
          ++count;
          for (EngineNode& to : nodes_) {
            if (to.endpoint == datagram.path.remote) {
              to.receive(from.endpoint, datagram.bytes, now, datagram.traffic_class);
            }
          }
        }
      }
    }
    return count;
  }

  /// Every pair that was connected gets a session and says hello.
  void settle() {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      send(i, FrameBuilder{.destination = everybody, .source = station(i)}.frame());
    }
    advance(std::chrono::seconds(2));
    for (EngineNode& node : nodes_) node.frames.take();
  }
  /// What came out of node `i` since the last call, without probes for loops.
  std::vector<Bytes> frames_at(std::size_t i) {
    std::vector<Bytes> frames = nodes_[i].frames.take();
    std::erase_if(frames, [](const Bytes& frame) { return LoopGuard::read(frame) != nullptr; });
    return frames;
  }
  /// A station behind node `i`.
  static MacAddress station(std::size_t i, std::uint64_t number = 0) {
    return MacAddress(0x020000000000 + (std::uint64_t{i} << 16) + number);
  }

  Now now{Timestamp(std::chrono::hours(1)), WallTime(std::chrono::seconds(1'700'000'000))};

 private:
  std::deque<EngineNode> nodes_;
};

}  // namespace culvert
