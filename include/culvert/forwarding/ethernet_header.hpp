// What must be known of an Ethernet frame to switch it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "culvert/base/address.hpp"
#include "culvert/base/bytes.hpp"
#include "culvert/base/mac_address.hpp"
#include "culvert/base/result.hpp"

namespace culvert {

/// Values of EthernetHeader::type (IEEE 802 numbers).
namespace ethertype {
inline constexpr std::uint16_t ipv4 = 0x0800;
inline constexpr std::uint16_t arp = 0x0806;
inline constexpr std::uint16_t ipv6 = 0x86dd;
inline constexpr std::uint16_t customer_tag = 0x8100;  ///< 802.1Q
inline constexpr std::uint16_t service_tag = 0x88a8;   ///< 802.1ad, "QinQ"
[[nodiscard]] constexpr bool is_tag(std::uint16_t type) noexcept {
  return type == customer_tag || type == service_tag;
}
}  // namespace ethertype

inline constexpr std::size_t ethernet_header_size = 14;
inline constexpr std::size_t ethernet_tag_size = 4;
/// Of one frame; more are taken for payload.
inline constexpr std::size_t ethernet_tags_max = 2;

struct EthernetHeader {
  MacAddress destination{};
  MacAddress source{};
  std::uint16_t vlan = 0;                     ///< of the outermost tag; 0: no tag, or one that only has a priority
  std::uint16_t type = 0;                     ///< behind the tags; a length below 1536
  std::size_t length = ethernet_header_size;  ///< of all of it, tags included: 14, 18 or 22; there the payload begins
};

/// Reads the header of `frame`. FrameTooShort when there are fewer bytes than it has.
[[nodiscard]] Verdict<EthernetHeader> parse_ethernet_header(ByteView frame) noexcept;

/// The IP address that the sender of `frame`, whose header this is, says to have: the source of IPv4 and IPv6, the
/// sender of ARP. Nothing for another type. FrameHeader when the payload is not what the type says.
[[nodiscard]] Verdict<std::optional<Address>> claimed_address(const EthernetHeader& header, ByteView frame) noexcept;

}  // namespace culvert
