// Where the pure half writes what it makes: memory lent by the caller, filled in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "culvert/base/bytes.hpp"
#include "culvert/base/endpoint.hpp"
#include "culvert/base/virtio_net_header.hpp"

namespace culvert {

/// Takes outgoing datagrams. Reserve, write, commit; a reservation that is not committed never happened: the next
/// reserve replaces it. At most one reservation is open. Called on the worker's thread only.
class DatagramSink {
 public:
  /// Memory of exactly `size` bytes for a datagram along `path` whose IP header shall carry `traffic_class` (DSCP and
  /// ECN, the IPv4 TOS byte). Empty when there is no room; the datagram at hand is then lost, nothing else.
  virtual ByteSpan reserve(const Path& path, std::uint8_t traffic_class, std::size_t size) noexcept = 0;

  /// The same for a datagram that is to be lost, rather than cut by IP, where it is too large: a probe of the path's
  /// MTU. For a sink behind which nobody cuts there is no difference.
  virtual ByteSpan reserve_probe(const Path& path, std::uint8_t traffic_class, std::size_t size) noexcept {
    return reserve(path, traffic_class, size);
  }

  /// Hands over the reservation. Datagrams to one endpoint leave in the order of their commits.
  virtual void commit() noexcept = 0;

 protected:
  ~DatagramSink() = default;
};

/// One write to the device: `header`, then all pieces in order. The first piece starts with the frame's headers.
struct GatheredFrame {
  VirtioNetHeader header;
  std::span<const ByteView> pieces;
};

/// Takes frames and super-frames for the local device, in order. `frame.pieces` and the bytes it names are valid during
/// the call. Called on the worker's thread only.
class GatheredFrameSink {
 public:
  virtual void put(const GatheredFrame& frame) noexcept = 0;

 protected:
  ~GatheredFrameSink() = default;
};

/// Takes frames for the local device, in order. Called on the worker's thread only.
class FrameSink {
 public:
  /// `frame` lies in the memory the datagram arrived in. The sink may keep the span until the caller of the engine
  /// reuses that memory, and may modify it; whoever drives both flushes the sink before that.
  virtual void put(ByteSpan frame) noexcept = 0;

 protected:
  ~FrameSink() = default;
};

}  // namespace culvert
