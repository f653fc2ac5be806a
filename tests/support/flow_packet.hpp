// A TCP or UDP packet as a value, every field of which a test may change, and the super-packet of many of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "culvert/base/endian.hpp"
#include "culvert/base/virtio_net_header.hpp"
#include "support/packet_builder.hpp"

namespace culvert {

struct FlowPacket {
  using Bytes = std::vector<std::byte>;

  bool is_v4 = true;
  bool is_tcp = true;
  Bytes l2 = {};
  std::uint8_t traffic_class = 0;
  std::uint8_t hop_limit = 64;
  std::uint16_t id = 1000;
  std::uint16_t fragment = 0x4000;
  std::uint32_t flow_label = 0x12345;
  std::uint8_t source_host = 1;
  std::uint8_t destination_host = 2;
  Bytes ip_options = {};  ///< IPv4, a multiple of 4
  Bytes extensions = {};  ///< IPv6 headers, the last of which names the transport protocol itself
  std::uint8_t first_extension = 60;
  std::uint16_t source_port = 40000;
  std::uint16_t destination_port = 443;
  std::uint32_t sequence = 100000;
  std::uint32_t acknowledgement = 7;
  std::uint8_t flags = 0x10;
  std::uint16_t window = 512;
  std::uint16_t urgent_pointer = 0;
  Bytes tcp_options = {};  ///< a multiple of 4
  Bytes payload = {};

  [[nodiscard]] std::size_t ip_size() const noexcept { return is_v4 ? 20 + ip_options.size() : 40 + extensions.size(); }
  [[nodiscard]] std::size_t transport() const noexcept { return l2.size() + ip_size(); }
  [[nodiscard]] std::size_t transport_size() const noexcept { return is_tcp ? 20 + tcp_options.size() : 8; }
  [[nodiscard]] std::size_t header_size() const noexcept { return transport() + transport_size(); }
  [[nodiscard]] std::size_t checksum_field() const noexcept { return transport() + (is_tcp ? 16 : 6); }
  [[nodiscard]] std::uint8_t protocol() const noexcept { return is_tcp ? 6 : 17; }

  /// The packet as it is on the wire.
  [[nodiscard]] Bytes build() const {
    Bytes frame = l2;
    frame.resize(header_size());
    frame.insert(frame.end(), payload.begin(), payload.end());
    write_ip(ByteSpan(frame).subspan(l2.size()));
    const ByteSpan segment = ByteSpan(frame).subspan(transport());
    write_transport(segment);
    std::uint16_t sum = PacketBuilder::checksum(segment, pseudo_sum(segment.size()));
    if (!is_tcp && sum == 0) sum = 0xffff;
    store<Be16>(&frame[checksum_field()], sum);
    return frame;
  }

  /// The same as the kernel gives it to who completes checksums: with the pseudo-header's sum in its place.
  [[nodiscard]] Bytes build_partial() const {
    Bytes frame = build();
    store<Be16>(&frame[checksum_field()],
                static_cast<std::uint16_t>(~PacketBuilder::checksum({}, pseudo_sum(frame.size() - transport()))));
    return frame;
  }
  [[nodiscard]] VirtioNetHeader partial_header() const {
    return {.flags = virtio_net::needs_checksum,
            .checksum_start = static_cast<std::uint16_t>(transport()),
            .checksum_offset = static_cast<std::uint16_t>(is_tcp ? 16 : 6)};
  }
  /// What stands in front of build_partial() when it is a super-frame.
  [[nodiscard]] VirtioNetHeader super_header(std::size_t gso_size) const {
    VirtioNetHeader header = partial_header();
    header.gso_type = !is_tcp ? virtio_net::gso_udp_l4 : is_v4 ? virtio_net::gso_tcp4 : virtio_net::gso_tcp6;
    header.header_length = static_cast<std::uint16_t>(header_size());
    header.gso_size = static_cast<std::uint16_t>(gso_size);
    return header;
  }

  /// The packets that the super-packet stands for, by the rules of TSO and USO.
  [[nodiscard]] std::vector<FlowPacket> segments(std::size_t gso_size) const {
    std::vector<FlowPacket> result;
    for (std::size_t at = 0; at == 0 || at < payload.size(); at += gso_size) {
      FlowPacket segment = *this;
      const std::size_t end = std::min(at + gso_size, payload.size());
      segment.payload.assign(payload.begin() + static_cast<std::ptrdiff_t>(at),
                             payload.begin() + static_cast<std::ptrdiff_t>(end));
      segment.id = static_cast<std::uint16_t>(id + result.size());
      segment.sequence = sequence + static_cast<std::uint32_t>(at);
      if (at != 0) segment.flags &= 0x7f;
      if (end != payload.size()) segment.flags &= 0xf6;
      result.push_back(segment);
    }
    return result;
  }

  /// The packet of `size` payload bytes that follows this one in its flow.
  [[nodiscard]] FlowPacket next(std::size_t size) const {
    FlowPacket packet = *this;
    packet.id = static_cast<std::uint16_t>(id + 1);
    packet.sequence = sequence + static_cast<std::uint32_t>(payload.size());
    packet.payload = bytes(size, packet.sequence + packet.id);
    return packet;
  }

  /// `size` bytes that differ by position and `seed`.
  static Bytes bytes(std::size_t size, std::uint32_t seed = 1) {
    Bytes result(size);
    for (std::byte& byte : result) {
      seed = seed * 1664525 + 1013904223;  // Numerical Recipes, section 7.1
      byte = static_cast<std::byte>(seed >> 24);
    }
    return result;
  }

  /// An Ethernet header of 14 bytes, or with one or two VLAN tags of 18 or 22; nothing for 0.
  static Bytes ethernet(std::size_t size, bool is_v4) {
    Bytes header(size, std::byte{2});
    if (size == 0) return header;
    if (size == 22) store<Be16>(&header[12], std::uint16_t{0x88a8});
    if (size >= 18) store<Be16>(&header[size - 6], std::uint16_t{0x8100});
    store<Be16>(&header[size - 2], is_v4 ? std::uint16_t{0x0800} : std::uint16_t{0x86dd});
    return header;
  }

 private:
  void write_ip(ByteSpan packet) const {
    const std::size_t at = is_v4 ? 12 : 8;
    const std::size_t size = is_v4 ? 4 : 16;
    packet[at] = packet[at + size] = is_v4 ? std::byte{10} : std::byte{0xfd};
    packet[at + size - 1] = std::byte{source_host};
    packet[at + size + size - 1] = std::byte{destination_host};
    if (!is_v4) {
      store<Be32>(packet.data(), 0x60000000U | std::uint32_t{traffic_class} << 20 | flow_label);
      store<Be16>(&packet[4], static_cast<std::uint16_t>(packet.size() - 40));
      packet[6] = std::byte{extensions.empty() ? protocol() : first_extension};
      packet[7] = std::byte{hop_limit};
      copy_bytes(extensions, packet.subspan(40));
      return;
    }
    packet[0] = static_cast<std::byte>(0x40 | (ip_size() / 4));
    packet[1] = std::byte{traffic_class};
    store<Be16>(&packet[2], static_cast<std::uint16_t>(packet.size()));
    store<Be16>(&packet[4], id);
    store<Be16>(&packet[6], fragment);
    packet[8] = std::byte{hop_limit};
    packet[9] = std::byte{protocol()};
    copy_bytes(ip_options, packet.subspan(20));
    store<Be16>(&packet[10], PacketBuilder::checksum(packet.first(ip_size())));
  }

  void write_transport(ByteSpan segment) const {
    store<Be16>(segment.data(), source_port);
    store<Be16>(&segment[2], destination_port);
    if (!is_tcp) {
      store<Be16>(&segment[4], static_cast<std::uint16_t>(segment.size()));
      return;
    }
    store<Be32>(&segment[4], sequence);
    store<Be32>(&segment[8], acknowledgement);
    segment[12] = static_cast<std::byte>(transport_size() / 4 << 4);
    segment[13] = std::byte{flags};
    store<Be16>(&segment[14], window);
    store<Be16>(&segment[18], urgent_pointer);
    copy_bytes(tcp_options, segment.subspan(20));
  }

  /// Over addresses, protocol and `length`.
  [[nodiscard]] std::uint64_t pseudo_sum(std::size_t length) const {
    const std::uint64_t net = is_v4 ? 10 << 8 : 0xfd << 8;
    return 2 * net + source_host + destination_host + protocol() + length;
  }
};

}  // namespace culvert
