// Reads inner IP packets and carries congestion marks into them.
#include "culvert/forwarding/ip_header.hpp"

#include "culvert/base/endian.hpp"

namespace culvert {

namespace {

constexpr std::size_t v4_header_size = 20;
constexpr std::size_t v6_header_size = 40;

unsigned version_of(ByteView packet) noexcept {
  return std::to_integer<unsigned>(packet[0]) >> 4;
}

Verdict<IpHeader> parse_v4(ByteView packet) noexcept {
  if (packet.size() < v4_header_size) return DropReason::FrameHeader;
  const std::size_t header_length = (std::to_integer<std::size_t>(packet[0]) & 0xf) * 4;
  const std::size_t total_length = load<Be16>(&packet[2]);
  if (header_length < v4_header_size || total_length < header_length || total_length > packet.size()) {
    return DropReason::FrameHeader;
  }
  return IpHeader{.source = Address::from_bytes(Family::V4, packet.subspan(12, 4)),
                  .destination = Address::from_bytes(Family::V4, packet.subspan(16, 4)),
                  .length = total_length,
                  .traffic_class = std::to_integer<std::uint8_t>(packet[1])};
}

Verdict<IpHeader> parse_v6(ByteView packet) noexcept {
  if (packet.size() < v6_header_size) return DropReason::FrameHeader;
  const std::size_t length = v6_header_size + load<Be16>(&packet[4]);
  if (length > packet.size()) return DropReason::FrameHeader;
  return IpHeader{.source = Address::from_bytes(Family::V6, packet.subspan(8, 16)),
                  .destination = Address::from_bytes(Family::V6, packet.subspan(24, 16)),
                  .length = length,
                  .traffic_class = static_cast<std::uint8_t>(load<Be16>(packet.data()) >> 4)};
}

/// RFC 6040, figure 4. Only what differs from keeping the inner mark is spelled out.
Verdict<Ecn> merged(Ecn inner, Ecn outer) noexcept {
  if (outer == Ecn::Ce) {
    if (inner == Ecn::NotEct) return DropReason::EcnMismatch;
    return Ecn::Ce;
  }
  if (outer == Ecn::Ect1 && inner == Ecn::Ect0) return Ecn::Ect1;
  return inner;
}

/// RFC 1624, equation 3: the one that stays right when the old sum is zero.
std::uint16_t updated_checksum(std::uint16_t checksum, std::uint16_t old_word, std::uint16_t new_word) noexcept {
  std::uint32_t sum = 0xffffU - checksum;
  sum += 0xffffU - old_word;
  sum += new_word;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace

Verdict<IpHeader> parse_ip_header(ByteView packet) noexcept {
  if (packet.empty()) return DropReason::FrameHeader;
  switch (version_of(packet)) {
    case 4:
      return parse_v4(packet);
    case 6:
      return parse_v6(packet);
    default:
      return DropReason::FrameHeader;
  }
}

Verdict<void> decapsulate_ecn(std::uint8_t outer_traffic_class, ByteSpan packet) noexcept {
  // In both versions the mark lies in the first 16-bit word: IPv6 has it four bits further up.
  const bool is_v4 = version_of(packet) == 4;
  const unsigned shift = is_v4 ? 0 : 4;
  const std::uint16_t old_word = load<Be16>(packet.data());
  const Ecn inner = ecn_of(static_cast<std::uint8_t>(old_word >> shift));
  const Verdict<Ecn> mark = merged(inner, ecn_of(outer_traffic_class));
  if (!mark) return mark.error();
  if (*mark == inner) return {};

  const auto new_word = static_cast<std::uint16_t>((old_word & ~(3U << shift)) | (unsigned(*mark) << shift));
  store<Be16>(packet.data(), new_word);
  if (is_v4) store<Be16>(&packet[10], updated_checksum(load<Be16>(&packet[10]), old_word, new_word));
  return {};
}

}  // namespace culvert
