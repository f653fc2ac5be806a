// Frames in a row to one peer, decided about and not yet sealed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "culvert/base/endpoint.hpp"
#include "culvert/base/sinks.hpp"
#include "culvert/forwarding/prefix_table.hpp"
#include "culvert/protocol/path_mtu.hpp"
#include "culvert/protocol/session.hpp"

namespace culvert {

/// What Engine::admit() decided, with the counters it claimed. One thread at a time, but beside the engine and beside
/// others of the same session.
class Sealing {
 public:
  /// During the engine's turn: the session's suite may change at its next.
  Sealing(PeerId peer, std::shared_ptr<Session> session, std::uint64_t counter, const Path& path,
          std::uint8_t traffic_class, std::size_t plaintext_max, bool needs_rekey, bool is_ethernet) noexcept
      : peer_(peer),
        session_(std::move(session)),
        suite_(session_->suite()),
        counter_(counter),
        path_(path),
        traffic_class_(traffic_class),
        needs_rekey_(needs_rekey),
        is_ethernet_(is_ethernet),
        mtu_(plaintext_max) {}

  /// Seals the next frame straight into memory of `out`; at most as many as were admitted. False when there is no room.
  /// A frame that is to be padded is moved, as is one of Ethernet.
  bool seal(ByteView frame, DatagramSink& out) noexcept {
    if (is_ethernet_) return seal_ethernet(frame, out);
    return seal_into(out, frame.size(), [&](std::uint64_t counter, ByteSpan datagram) {
      session_->seal_with(suite_, counter, frame, datagram);
    });
  }
  /// The same, but no frame is moved: there is memory behind it, as for Session::seal_with_room(), and in front of an
  /// Ethernet frame envelope_header_size bytes, which are written over.
  bool seal_with_room(ByteSpan frame, DatagramSink& out) noexcept {
    if (is_ethernet_) return seal_ethernet_with_room(frame, out);
    return seal_into(out, frame.size(), [&](std::uint64_t counter, ByteSpan datagram) {
      session_->seal_with_room(suite_, counter, frame, datagram);
    });
  }

  /// Seals a piece of a frame, out of a copy.
  bool seal_piece(std::uint32_t frame, std::size_t offset, std::size_t total, ByteView piece,
                  DatagramSink& out) noexcept;
  /// Seals a probe whose datagram is `probe.size` bytes large.
  bool seal_probe(const PathMtu::Probe& probe, DatagramSink& out) noexcept;

  [[nodiscard]] PeerId peer() const noexcept { return peer_; }
  /// Once the frames are sealed, Engine::renew() is to be called.
  [[nodiscard]] bool needs_rekey() const noexcept { return needs_rekey_; }

 private:
  template <class Seal>
  bool seal_into(DatagramSink& out, std::size_t size, Seal seal) noexcept {
    const ByteSpan datagram = out.reserve(path_, traffic_class_, Session::sealed_size(size, mtu_));
    const std::uint64_t counter = counter_++;
    if (datagram.empty()) return false;
    seal(counter, datagram);
    out.commit();
    return true;
  }

  bool seal_ethernet(ByteView frame, DatagramSink& out) noexcept;
  bool seal_ethernet_with_room(ByteSpan frame, DatagramSink& out) noexcept;

  PeerId peer_;
  std::shared_ptr<Session> session_;
  CipherSuite suite_;
  std::uint64_t counter_;
  Path path_;
  std::uint8_t traffic_class_;
  bool needs_rekey_;
  bool is_ethernet_;
  std::size_t mtu_;  ///< of the plaintext: nothing is padded beyond it
};

}  // namespace culvert
