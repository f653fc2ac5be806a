// Ethernet frames in their envelopes, sealed.
#include "culvert/engine/sealing.hpp"

#include <algorithm>

#include "culvert/protocol/envelope.hpp"

namespace culvert {

bool Sealing::seal_ethernet(ByteView frame, DatagramSink& out) noexcept {
  const std::size_t size = envelope_header_size + frame.size();
  return seal_into(out, size, [&](std::uint64_t counter, ByteSpan datagram) {
    const ByteSpan plaintext = datagram.subspan(sizeof(MessageDataHeader), size);
    write_envelope_header(plaintext.data(), EnvelopeKind::Ethernet, Session::padding_of(size, mtu_));
    copy_bytes(frame, plaintext.subspan(envelope_header_size));
    session_->seal_with(suite_, counter, plaintext, datagram);
  });
}

bool Sealing::seal_ethernet_with_room(ByteSpan frame, DatagramSink& out) noexcept {
  const ByteSpan plaintext(frame.data() - envelope_header_size, envelope_header_size + frame.size());
  return seal_into(out, plaintext.size(), [&](std::uint64_t counter, ByteSpan datagram) {
    write_envelope_header(plaintext.data(), EnvelopeKind::Ethernet, Session::padding_of(plaintext.size(), mtu_));
    session_->seal_with_room(suite_, counter, plaintext, datagram);
  });
}

}  // namespace culvert
