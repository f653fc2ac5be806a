// Reads Ethernet headers with up to two VLAN tags.
#include "culvert/forwarding/ethernet_header.hpp"

#include "culvert/base/endian.hpp"
#include "culvert/forwarding/ip_header.hpp"

namespace culvert {

Verdict<EthernetHeader> parse_ethernet_header(ByteView frame) noexcept {
  if (frame.size() < ethernet_header_size) return DropReason::FrameTooShort;
  EthernetHeader header;
  header.destination = MacAddress::from_bytes(frame);
  header.source = MacAddress::from_bytes(frame.subspan(MacAddress::size));
  header.type = load<Be16>(&frame[header.length - sizeof(Be16)]);
  for (std::size_t tags = 0; tags < ethernet_tags_max && ethertype::is_tag(header.type); ++tags) {
    if (frame.size() < header.length + ethernet_tag_size) return DropReason::FrameTooShort;
    // The highest four bits are priority and whether it may be dropped.
    if (tags == 0) header.vlan = load<Be16>(&frame[header.length]) & 0xfff;
    header.length += ethernet_tag_size;
    header.type = load<Be16>(&frame[header.length - sizeof(Be16)]);
  }
  return header;
}

Verdict<std::optional<Address>> claimed_address(const EthernetHeader& header, ByteView frame) noexcept {
  const ByteView payload = frame.subspan(header.length);
  if (header.type == ethertype::arp) {
    // RFC 826, for IPv4 over Ethernet: 6 and 4 bytes an address.
    constexpr std::size_t size = 28;
    constexpr std::size_t sender = 14;
    if (payload.size() < size || load<Be16>(&payload[2]) != ethertype::ipv4 || load<Be16>(&payload[4]) != 0x0604) {
      return DropReason::FrameHeader;
    }
    return Address::from_bytes(Family::V4, payload.subspan(sender, 4));
  }
  if (header.type != ethertype::ipv4 && header.type != ethertype::ipv6) return std::optional<Address>();
  const Verdict<IpHeader> ip = parse_ip_header(payload);
  if (!ip) return ip.error();
  if (ip->source.is_v4() != (header.type == ethertype::ipv4)) return DropReason::FrameHeader;
  return std::optional(ip->source);
}

}  // namespace culvert
