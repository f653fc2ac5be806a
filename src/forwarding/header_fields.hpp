// Where the fields of IP, TCP and UDP lie that segmenting and merging look at.
#pragma once

#include <cstddef>
#include <cstdint>

namespace culvert {

inline constexpr std::uint8_t protocol_tcp = 6;
inline constexpr std::uint8_t protocol_udp = 17;

/// RFC 791, offsets from the start of the IP header.
namespace ipv4 {
inline constexpr std::size_t header_size = 20;
inline constexpr std::size_t traffic_class = 1;
inline constexpr std::size_t total_length = 2;
inline constexpr std::size_t id = 4;
inline constexpr std::size_t fragment = 6;
inline constexpr std::size_t ttl = 8;
inline constexpr std::size_t protocol = 9;
inline constexpr std::size_t checksum = 10;
inline constexpr std::size_t addresses = 12;
inline constexpr std::size_t addresses_size = 8;
inline constexpr std::uint16_t dont_fragment = 0x4000;
inline constexpr std::uint16_t fragment_mask = 0x3fff;  ///< More Fragments and the offset
}  // namespace ipv4

/// RFC 8200.
namespace ipv6 {
inline constexpr std::size_t header_size = 40;
inline constexpr std::size_t payload_length = 4;
inline constexpr std::size_t next_header = 6;
inline constexpr std::size_t hop_limit = 7;
inline constexpr std::size_t addresses = 8;
inline constexpr std::size_t addresses_size = 32;
}  // namespace ipv6

/// RFC 9293, offsets from the start of the TCP header.
namespace tcp {
inline constexpr std::size_t min_header_size = 20;
inline constexpr std::size_t sequence = 4;
inline constexpr std::size_t acknowledgement = 8;
inline constexpr std::size_t data_offset = 12;
inline constexpr std::size_t flags = 13;
inline constexpr std::size_t window = 14;
inline constexpr std::size_t checksum = 16;
inline constexpr std::size_t urgent_pointer = 18;
inline constexpr std::uint8_t fin = 0x01;
inline constexpr std::uint8_t psh = 0x08;
inline constexpr std::uint8_t ack = 0x10;
inline constexpr std::uint8_t cwr = 0x80;
}  // namespace tcp

/// RFC 768.
namespace udp {
inline constexpr std::size_t header_size = 8;
inline constexpr std::size_t length = 4;
inline constexpr std::size_t checksum = 6;
}  // namespace udp

}  // namespace culvert
