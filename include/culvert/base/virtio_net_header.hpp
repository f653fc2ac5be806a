// What the kernel says of a frame's segments and checksum, in front of each frame of a TUN/TAP device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "culvert/base/bytes.hpp"

namespace culvert {

/// struct virtio_net_hdr (include/uapi/linux/virtio_net.h), which no C++ compiler reads: a later field there is named
/// `class`. This is the layout for IFF_VNET_HDR with TUNSETVNETHDRSZ 10; numbers are in host order, as the kernel has
/// them without TUNSETVNETLE. Zero says: one whole frame, checksums as they are on the wire.
struct VirtioNetHeader {
  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  std::uint16_t header_length = 0;    ///< read: a hint not to be trusted; written: what the kernel keeps linear
  std::uint16_t gso_size = 0;         ///< payload bytes of each segment but the last
  std::uint16_t checksum_start = 0;   ///< from the start of the frame, layer 2 included, to the transport header
  std::uint16_t checksum_offset = 0;  ///< from there to the checksum

  friend bool operator==(const VirtioNetHeader&, const VirtioNetHeader&) = default;
};

inline constexpr std::size_t virtio_net_header_size = 10;
static_assert(sizeof(VirtioNetHeader) == virtio_net_header_size);

/// Values of VirtioNetHeader::flags and ::gso_type, VIRTIO_NET_HDR_* in the kernel.
namespace virtio_net {
inline constexpr std::uint8_t needs_checksum = 1;  ///< F_NEEDS_CSUM: the field holds the pseudo-header's sum
inline constexpr std::uint8_t data_valid = 2;      ///< F_DATA_VALID: somebody has looked already

inline constexpr std::uint8_t gso_none = 0;
inline constexpr std::uint8_t gso_tcp4 = 1;
inline constexpr std::uint8_t gso_tcp6 = 4;
inline constexpr std::uint8_t gso_udp_l4 = 5;  ///< both families
inline constexpr std::uint8_t gso_ecn = 0x80;  ///< bit beside a TCP type: CWR goes on the first segment only
}  // namespace virtio_net

/// `from` has at least virtio_net_header_size bytes.
[[nodiscard]] inline VirtioNetHeader load_virtio_net_header(const std::byte* from) noexcept {
  VirtioNetHeader header;
  std::memcpy(&header, from, sizeof header);
  return header;
}

/// `to` has room for virtio_net_header_size bytes.
inline void store_virtio_net_header(std::byte* to, const VirtioNetHeader& header) noexcept {
  std::memcpy(to, &header, sizeof header);
}

}  // namespace culvert
