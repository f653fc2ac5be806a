// The two bytes in front of what two culverts say to each other.
#include "culvert/protocol/envelope.hpp"

#include <cassert>

namespace culvert {

Verdict<Envelope> parse_envelope(ByteSpan plaintext) noexcept {
  const auto kind = static_cast<EnvelopeKind>(plaintext[0]);
  switch (kind) {
    case EnvelopeKind::Hello:
    case EnvelopeKind::Ethernet:
    case EnvelopeKind::Fragment:
    case EnvelopeKind::Probe:
    case EnvelopeKind::ProbeAck:
    case EnvelopeKind::BenchRequest:
    case EnvelopeKind::BenchAnswer:
      break;
    default:
      return DropReason::UnknownEnvelope;
  }
  if (plaintext.size() < envelope_header_size) return DropReason::BadEnvelope;
  const auto padding = std::to_integer<std::size_t>(plaintext[1]);
  const ByteSpan body = plaintext.subspan(envelope_header_size);
  if (padding > envelope_padding_max || padding > body.size()) return DropReason::BadEnvelope;
  return Envelope{kind, body.first(body.size() - padding)};
}

void write_envelope_header(std::byte* to, EnvelopeKind kind, std::size_t padding) noexcept {
  assert(padding <= envelope_padding_max);
  to[0] = static_cast<std::byte>(kind);
  to[1] = static_cast<std::byte>(padding);
}

}  // namespace culvert
