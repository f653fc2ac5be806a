// Telling the sender of an inner packet that it is too large for the tunnel (RFC 1191, RFC 4443).
#pragma once

#include <chrono>
#include <cstddef>

#include "culvert/base/bytes.hpp"
#include "culvert/base/time.hpp"

namespace culvert {

/// Whether a packet is to be dropped rather than cut: IPv6, or IPv4 with Don't Fragment. `packet` was parsed
/// successfully.
[[nodiscard]] bool must_not_be_fragmented(ByteView packet) noexcept;

/// An ICMP error of at most this size (RFC 4443, section 2.4 (c)); that of IPv4 is at most 576 bytes (RFC 1812, section
/// 4.3.2.3).
inline constexpr std::size_t packet_too_big_size_max = 1280;

/// Writes an IPv4 "fragmentation needed" (type 3, code 4) or IPv6 "packet too big" (type 2) about `packet`, which was
/// parsed successfully, into `out`, of packet_too_big_size_max bytes. `mtu`: how large an IP packet may be. Returns
/// what was written; nothing where there must be no error (RFC 1122, section 3.2.2; RFC 4443, section 2.4 (e)): about
/// an ICMP error, a fragment that is not the first, to or from an address that is not one host's.
///
/// The error comes from the address the packet was sent to. It is written into the device from which the packet came,
/// and there that address is one the host expects packets from, whatever reverse path filter it has; an address of the
/// host's own would be taken for forged, and the tunnel has no other.
[[nodiscard]] ByteSpan build_packet_too_big(ByteView packet, std::size_t mtu, ByteSpan out) noexcept;

/// How many errors a device sends: a bucket of 50, and 100 more each second (RFC 1812, section 4.3.2.8; RFC 4443,
/// section 2.4 (f)). Whoever is not told at once is told at the next packet.
class ErrorLimit {
 public:
  [[nodiscard]] bool allow(Timestamp now) noexcept;

 private:
  static constexpr auto refill_time = std::chrono::milliseconds(10);
  static constexpr int burst = 50;
  /// When the bucket is full again.
  Timestamp full_at_;
};

}  // namespace culvert
