// The Internet checksum (RFC 1071), in parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "culvert/base/bytes.hpp"
#include "culvert/base/endian.hpp"

namespace culvert {

/// A one's complement sum of 16-bit words. Parts may be added in any order; each part starts at an even offset of what
/// is summed, so that only the last may have an odd length. Room for 2^31 additions.
class InternetSum {
 public:
  /// At most 2^32 bytes; an odd last byte counts as the high half of a word.
  void add(ByteView bytes) noexcept;
  void add(std::uint16_t word) noexcept {
    const Be16 wire = word;
    std::uint16_t in_memory = 0;
    std::memcpy(&in_memory, &wire, sizeof in_memory);
    sum_ += in_memory;
  }
  void add(std::uint32_t two_words) noexcept {
    add(static_cast<std::uint16_t>(two_words >> 16));
    add(static_cast<std::uint16_t>(two_words));
  }
  /// Takes out a word added before.
  void subtract(std::uint16_t word) noexcept { add(static_cast<std::uint16_t>(~word)); }

  /// The sum itself: what a checksum field holds that is still to be completed. 0xffff over anything that includes its
  /// own right checksum.
  [[nodiscard]] std::uint16_t folded() const noexcept {
    std::uint64_t sum = (sum_ & 0xffffffff) + (sum_ >> 32);
    sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    // The words were added as they lie in memory; the swap commutes with the sum (RFC 1071, section 2 (B)).
    const auto in_memory = static_cast<std::uint16_t>(sum);
    return load<Be16>(reinterpret_cast<const std::byte*>(&in_memory));
  }
  /// The checksum: the complement.
  [[nodiscard]] std::uint16_t checksum() const noexcept { return static_cast<std::uint16_t>(~folded()); }
  /// The checksum of a UDP datagram, where 0 would say that there is none (RFC 768).
  [[nodiscard]] std::uint16_t udp_checksum() const noexcept {
    const std::uint16_t plain = checksum();
    return plain == 0 ? std::uint16_t{0xffff} : plain;
  }

 private:
  std::uint64_t sum_ = 0;
};

/// The sum over the pseudo-header of TCP or UDP. `addresses` are source and destination as they lie in the IP header, 8
/// or 32 bytes; `length` is that of the transport header and payload. The pseudo-headers of IPv4 (RFC 793) and IPv6
/// (RFC 8200, section 8.1) have the same sum but for the addresses.
[[nodiscard]] inline InternetSum pseudo_header_sum(ByteView addresses, std::uint8_t protocol,
                                                   std::uint32_t length) noexcept {
  InternetSum sum;
  sum.add(addresses);
  sum.add(std::uint16_t{protocol});
  sum.add(length);
  return sum;
}

}  // namespace culvert
