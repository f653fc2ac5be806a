// IP packets with right lengths and checksums.
#pragma once

#include <cstdint>
#include <vector>

#include "culvert/base/address.hpp"
#include "culvert/base/endian.hpp"

namespace culvert {

/// Builds packets from `source` to `destination`, which are of one family.
struct PacketBuilder {
  Address source;
  Address destination;
  std::uint8_t traffic_class = 0;  ///< DSCP and ECN
  std::uint8_t hop_limit = 64;
  std::uint16_t source_port = 40000;
  std::uint16_t destination_port = 50000;

  /// A packet of `protocol` around `payload` as it is.
  [[nodiscard]] std::vector<std::byte> ip(std::uint8_t protocol, ByteView payload) const {
    const std::size_t header = header_size();
    std::vector<std::byte> packet(header + payload.size());
    if (source.is_v4()) {
      packet[0] = std::byte{0x45};
      packet[1] = std::byte{traffic_class};
      store<Be16>(&packet[2], static_cast<std::uint16_t>(packet.size()));
      packet[8] = std::byte{hop_limit};
      packet[9] = std::byte{protocol};
      copy_bytes(source.bytes(), ByteSpan(packet).subspan(12));
      copy_bytes(destination.bytes(), ByteSpan(packet).subspan(16));
      store<Be16>(&packet[10], checksum(ByteView(packet).first(header)));
    } else {
      store<Be16>(packet.data(), static_cast<std::uint16_t>(0x6000 | (traffic_class << 4)));
      store<Be16>(&packet[4], static_cast<std::uint16_t>(payload.size()));
      packet[6] = std::byte{protocol};
      packet[7] = std::byte{hop_limit};
      copy_bytes(source.bytes(), ByteSpan(packet).subspan(8));
      copy_bytes(destination.bytes(), ByteSpan(packet).subspan(24));
    }
    copy_bytes(payload, ByteSpan(packet).subspan(header));
    return packet;
  }

  [[nodiscard]] std::vector<std::byte> udp(ByteView payload) const {
    std::vector<std::byte> segment(8 + payload.size());
    store_ports(segment);
    store<Be16>(&segment[4], static_cast<std::uint16_t>(segment.size()));
    copy_bytes(payload, ByteSpan(segment).subspan(8));
    const std::uint16_t sum = transport_checksum(17, segment);
    store<Be16>(&segment[6], sum == 0 ? std::uint16_t{0xffff} : sum);
    return ip(17, segment);
  }

  /// A UDP packet of `size` bytes in all, at least the two headers.
  [[nodiscard]] std::vector<std::byte> udp_of_size(std::size_t size) const {
    return udp(std::vector<std::byte>(size - header_size() - 8, std::byte{0x5a}));
  }

  /// `flags` are the TCP flag byte: 0x02 is SYN, 0x10 is ACK.
  [[nodiscard]] std::vector<std::byte> tcp(std::uint8_t flags, ByteView payload) const {
    std::vector<std::byte> segment(20 + payload.size());
    store_ports(segment);
    segment[12] = std::byte{0x50};
    segment[13] = std::byte{flags};
    store<Be16>(&segment[14], std::uint16_t{0xffff});
    copy_bytes(payload, ByteSpan(segment).subspan(20));
    store<Be16>(&segment[16], transport_checksum(6, segment));
    return ip(6, segment);
  }

  /// An echo request with `sequence`.
  [[nodiscard]] std::vector<std::byte> icmp_echo(std::uint16_t sequence, ByteView payload) const {
    std::vector<std::byte> message(8 + payload.size());
    message[0] = source.is_v4() ? std::byte{8} : std::byte{128};
    store<Be16>(&message[6], sequence);
    copy_bytes(payload, ByteSpan(message).subspan(8));
    store<Be16>(&message[2], source.is_v4() ? checksum(message) : transport_checksum(58, message));
    return ip(source.is_v4() ? 1 : 58, message);
  }

  [[nodiscard]] std::size_t header_size() const noexcept { return source.is_v4() ? 20 : 40; }

  /// The Internet checksum (RFC 1071) over `bytes`, continuing from `sum`.
  static std::uint16_t checksum(ByteView bytes, std::uint64_t sum = 0) noexcept {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      sum += std::to_integer<std::uint64_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
    }
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
  }

 private:
  void store_ports(std::vector<std::byte>& segment) const {
    store<Be16>(segment.data(), source_port);
    store<Be16>(&segment[2], destination_port);
  }

  [[nodiscard]] std::uint16_t transport_checksum(std::uint8_t protocol, ByteView segment) const {
    std::vector<std::byte> pseudo;
    pseudo.insert(pseudo.end(), source.bytes().begin(), source.bytes().end());
    pseudo.insert(pseudo.end(), destination.bytes().begin(), destination.bytes().end());
    pseudo.resize(pseudo.size() + 8);
    store<Be32>(&pseudo[pseudo.size() - 8], static_cast<std::uint32_t>(segment.size()));
    pseudo.back() = std::byte{protocol};
    pseudo.insert(pseudo.end(), segment.begin(), segment.end());
    return checksum(pseudo);
  }
};

}  // namespace culvert
