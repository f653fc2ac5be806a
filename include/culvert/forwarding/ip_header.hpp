// What must be known of the IP packet inside a tunnel.
#pragma once

#include "culvert/base/address.hpp"
#include "culvert/base/result.hpp"

namespace culvert {

/// The checked facts of an inner packet.
struct IpHeader {
  Address source;
  Address destination;
  std::size_t length = 0;          ///< of the whole packet by its own header; no more than there are bytes
  std::uint8_t traffic_class = 0;  ///< DSCP and ECN
};

/// Reads the header of `packet`, which may be followed by padding. FrameHeader when it is neither IPv4 nor IPv6,
/// shorter than its fixed header, or longer by its own word than `packet` (computed wider than 16 bits, W-15).
[[nodiscard]] Verdict<IpHeader> parse_ip_header(ByteView packet) noexcept;

/// Explicit Congestion Notification, the low two bits of the traffic class (RFC 3168).
enum class Ecn : std::uint8_t { NotEct = 0, Ect1 = 1, Ect0 = 2, Ce = 3 };
[[nodiscard]] constexpr Ecn ecn_of(std::uint8_t traffic_class) noexcept {
  return Ecn(traffic_class & 3);
}

/// Merges the congestion mark of the outer header into the inner packet, as RFC 6040 section 4.2 says for a
/// decapsulator, and repairs the IPv4 header checksum. EcnMismatch when the packet must be dropped. `packet` was parsed
/// successfully.
[[nodiscard]] Verdict<void> decapsulate_ecn(std::uint8_t outer_traffic_class, ByteSpan packet) noexcept;

}  // namespace culvert
