// ICMP errors about packets that are too large.
#include "culvert/forwarding/packet_too_big.hpp"

#include <algorithm>
#include <cassert>
#include <cstdint>

#include "culvert/base/endian.hpp"
#include "culvert/forwarding/checksum.hpp"
#include "header_fields.hpp"

namespace culvert {

namespace {

constexpr std::uint8_t protocol_icmp = 1;
constexpr std::uint8_t protocol_icmp6 = 58;
constexpr std::uint8_t hop_limit = 64;
constexpr std::size_t icmp_header_size = 8;
constexpr std::size_t v4_error_size_max = 576;
constexpr unsigned fragment_offset_v4 = 0x1fff;
constexpr unsigned fragment_offset_v6 = 0xfff8;
/// DSCP CS6, internetwork control: what routers mark their errors with (RFC 1812, section 4.3.2.5).
constexpr std::uint8_t traffic_class = 0xc0;

std::uint8_t byte_at(ByteView bytes, std::size_t offset) noexcept {
  return std::to_integer<std::uint8_t>(bytes[offset]);
}

bool is_v4(ByteView packet) noexcept {
  return byte_at(packet, 0) >> 4 == 4;
}

bool is_zero(ByteView address) noexcept {
  return std::ranges::all_of(address, [](std::byte byte) { return byte == std::byte{0}; });
}

/// One host's: not multicast, not reserved or broadcast (240.0.0.0/4), not unspecified.
bool is_one_host_v4(ByteView address) noexcept {
  return byte_at(address, 0) < 224 && byte_at(address, 0) != 0;
}

bool is_one_host_v6(ByteView address) noexcept {
  return byte_at(address, 0) != 0xff && !is_zero(address);
}

/// Types of errors, as RFC 1122, section 3.2.2, has them.
bool is_v4_error(std::uint8_t type) noexcept {
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

bool may_be_told_v4(ByteView packet) noexcept {
  const ByteView addresses = packet.subspan(ipv4::addresses, ipv4::addresses_size);
  if (!is_one_host_v4(addresses.first(4)) || !is_one_host_v4(addresses.subspan(4))) return false;
  if ((load<Be16>(&packet[ipv4::fragment]) & fragment_offset_v4) != 0) return false;
  if (byte_at(packet, ipv4::protocol) != protocol_icmp) return true;
  const std::size_t header_size = (byte_at(packet, 0) & 0xfU) * 4U;
  return packet.size() > header_size && !is_v4_error(byte_at(packet, header_size));
}

bool may_be_told_v6(ByteView packet) noexcept {
  const ByteView addresses = packet.subspan(ipv6::addresses, ipv6::addresses_size);
  // To a multicast address "packet too big" is one of the two errors that may be sent, so that path MTU discovery works
  // for it as well; but no tunnel carries such a packet to one host that could be its source.
  if (!is_one_host_v6(addresses.first(16)) || !is_one_host_v6(addresses.subspan(16))) return false;
  std::uint8_t next_header = byte_at(packet, ipv6::next_header);
  std::size_t offset = ipv6::header_size;
  // Extension headers that may stand before ICMPv6; hop-by-hop, routing, fragment, destination options.
  while (next_header == 0 || next_header == 43 || next_header == 44 || next_header == 60) {
    if (packet.size() < offset + 8) return false;
    if (next_header == 44 && (load<Be16>(&packet[offset + 2]) & fragment_offset_v6) != 0) return false;
    const std::size_t size = next_header == 44 ? 8 : 8U + byte_at(packet, offset + 1) * 8U;
    next_header = byte_at(packet, offset);
    offset += size;
  }
  if (next_header != protocol_icmp6) return true;
  // Errors are below 128 (RFC 4443, section 2.1).
  return packet.size() > offset && byte_at(packet, offset) >= 128;
}

ByteSpan build_v4(ByteView packet, std::size_t mtu, ByteSpan out) noexcept {
  const std::size_t size = std::min(v4_error_size_max, ipv4::header_size + icmp_header_size + packet.size());
  out = out.first(size);
  std::ranges::fill(out.first(ipv4::header_size + icmp_header_size), std::byte{0});
  out[0] = std::byte{0x45};
  out[ipv4::traffic_class] = std::byte{traffic_class};
  store<Be16>(&out[ipv4::total_length], static_cast<std::uint16_t>(size));
  out[ipv4::ttl] = std::byte{hop_limit};
  out[ipv4::protocol] = std::byte{protocol_icmp};
  copy_bytes(packet.subspan(ipv4::addresses + 4, 4), out.subspan(ipv4::addresses));
  copy_bytes(packet.subspan(ipv4::addresses, 4), out.subspan(ipv4::addresses + 4));
  InternetSum header;
  header.add(out.first(ipv4::header_size));
  store<Be16>(&out[ipv4::checksum], header.checksum());

  const ByteSpan message = out.subspan(ipv4::header_size);
  message[0] = std::byte{3};
  message[1] = std::byte{4};
  store<Be16>(&message[6], static_cast<std::uint16_t>(std::min<std::size_t>(mtu, 0xffff)));
  copy_bytes(packet.first(message.size() - icmp_header_size), message.subspan(icmp_header_size));
  InternetSum sum;
  sum.add(message);
  store<Be16>(&message[2], sum.checksum());
  return out;
}

ByteSpan build_v6(ByteView packet, std::size_t mtu, ByteSpan out) noexcept {
  const std::size_t size = std::min(packet_too_big_size_max, ipv6::header_size + icmp_header_size + packet.size());
  out = out.first(size);
  std::ranges::fill(out.first(ipv6::header_size + icmp_header_size), std::byte{0});
  const ByteSpan message = out.subspan(ipv6::header_size);
  store<Be16>(out.data(), static_cast<std::uint16_t>(0x6000 | traffic_class << 4));
  store<Be16>(&out[ipv6::payload_length], static_cast<std::uint16_t>(message.size()));
  out[ipv6::next_header] = std::byte{protocol_icmp6};
  out[ipv6::hop_limit] = std::byte{hop_limit};
  copy_bytes(packet.subspan(ipv6::addresses + 16, 16), out.subspan(ipv6::addresses));
  copy_bytes(packet.subspan(ipv6::addresses, 16), out.subspan(ipv6::addresses + 16));

  message[0] = std::byte{2};
  store<Be32>(&message[4], static_cast<std::uint32_t>(mtu));
  copy_bytes(packet.first(message.size() - icmp_header_size), message.subspan(icmp_header_size));
  InternetSum sum = pseudo_header_sum(out.subspan(ipv6::addresses, ipv6::addresses_size), protocol_icmp6,
                                      static_cast<std::uint32_t>(message.size()));
  sum.add(message);
  store<Be16>(&message[2], sum.checksum());
  return out;
}

}  // namespace

bool must_not_be_fragmented(ByteView packet) noexcept {
  return !is_v4(packet) || (load<Be16>(&packet[ipv4::fragment]) & ipv4::dont_fragment) != 0;
}

ByteSpan build_packet_too_big(ByteView packet, std::size_t mtu, ByteSpan out) noexcept {
  assert(out.size() >= packet_too_big_size_max);
  if (is_v4(packet)) return may_be_told_v4(packet) ? build_v4(packet, mtu, out) : ByteSpan();
  return may_be_told_v6(packet) ? build_v6(packet, mtu, out) : ByteSpan();
}

bool ErrorLimit::allow(Timestamp now) noexcept {
  const Timestamp full_at = std::max(full_at_, now) + refill_time;
  if (full_at - now > burst * refill_time) return false;
  full_at_ = full_at;
  return true;
}

}  // namespace culvert
