// Reads Ethernet headers with up to two VLAN tags.
#include "culvert/forwarding/ethernet_header.hpp"

#include "culvert/base/endian.hpp"

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

}  // namespace culvert
