// What two culverts put into a session that is no IP packet: two bytes in front of a body (docs/protocol.md).
#pragma once

#include <cstddef>
#include <cstdint>

#include "culvert/base/bytes.hpp"
#include "culvert/base/result.hpp"

namespace culvert {

/// The first byte of an envelope. Its high nibble is 0, which is no version of IP: a stock WireGuard peer drops it.
enum class EnvelopeKind : std::uint8_t {
  Hello = 0x01,         ///< hello.hpp
  Ethernet = 0x02,      ///< one frame, from its destination address on
  Fragment = 0x03,      ///< a piece of a frame larger than the path carries
  Probe = 0x04,         ///< padding that finds out how much the path carries
  ProbeAck = 0x05,      ///< a probe arrived
  BenchRequest = 0x06,  ///< bench_consent.hpp
  BenchAnswer = 0x07,
};

/// Kind and padding. With them in front, the IP header behind the 14 bytes of an Ethernet header is aligned to 4.
inline constexpr std::size_t envelope_header_size = 2;
/// Of the last bytes of the plaintext, which are padding: an Ethernet frame does not say how long it is.
inline constexpr std::size_t envelope_padding_max = 15;

struct Envelope {
  EnvelopeKind kind;
  ByteSpan body;  ///< without padding; lies in the plaintext
};

/// Whether a plaintext that was opened is an envelope rather than an IP packet.
[[nodiscard]] inline bool is_envelope(ByteView plaintext) noexcept {
  return !plaintext.empty() && (plaintext[0] & std::byte{0xf0}) == std::byte{0};
}

/// Takes a plaintext for which is_envelope() holds apart. UnknownEnvelope for another kind; BadEnvelope when there is
/// no second byte, or it names more than envelope_padding_max bytes or more than the body has.
[[nodiscard]] Verdict<Envelope> parse_envelope(ByteSpan plaintext) noexcept;

/// Writes envelope_header_size bytes at `to`, which go in front of the body. `padding` is how many bytes will follow
/// it, at most envelope_padding_max: for a body of n bytes, Session::padding_of(envelope_header_size + n, mtu).
void write_envelope_header(std::byte* to, EnvelopeKind kind, std::size_t padding) noexcept;

}  // namespace culvert
