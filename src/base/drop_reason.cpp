// Names of the drop reasons.
#include "culvert/base/drop_reason.hpp"

namespace culvert {

std::string_view to_string(DropReason reason) noexcept {
  switch (reason) {
    case DropReason::DatagramLength:
      return "datagram_length";
    case DropReason::MessageType:
      return "message_type";
    case DropReason::InvalidMac1:
      return "invalid_mac1";
    case DropReason::UnderLoad:
      return "under_load";
    case DropReason::RateLimited:
      return "rate_limited";
    case DropReason::HandshakeAuthentication:
      return "handshake_authentication";
    case DropReason::UnknownPeer:
      return "unknown_peer";
    case DropReason::TimestampReplay:
      return "timestamp_replay";
    case DropReason::InitiationFlood:
      return "initiation_flood";
    case DropReason::UnexpectedResponse:
      return "unexpected_response";
    case DropReason::InvalidCookie:
      return "invalid_cookie";
    case DropReason::UnknownIndex:
      return "unknown_index";
    case DropReason::CipherMismatch:
      return "cipher_mismatch";
    case DropReason::SessionExpired:
      return "session_expired";
    case DropReason::CounterExhausted:
      return "counter_exhausted";
    case DropReason::DataAuthentication:
      return "data_authentication";
    case DropReason::Replay:
      return "replay";
    case DropReason::UnknownEnvelope:
      return "unknown_envelope";
    case DropReason::BadEnvelope:
      return "bad_envelope";
    case DropReason::ModeMismatch:
      return "mode_mismatch";
    case DropReason::FrameHeader:
      return "frame_header";
    case DropReason::OffloadHeader:
      return "offload_header";
    case DropReason::SourceNotAllowed:
      return "source_not_allowed";
    case DropReason::EcnMismatch:
      return "ecn_mismatch";
    case DropReason::NoPeer:
      return "no_peer";
    case DropReason::NoEndpoint:
      return "no_endpoint";
    case DropReason::FrameTooLarge:
      return "frame_too_large";
    case DropReason::FrameTooShort:
      return "frame_too_short";
    case DropReason::SourceAddress:
      return "source_address";
    case DropReason::LocalAddress:
      return "local_address";
    case DropReason::LinkLocalGroup:
      return "link_local_group";
    case DropReason::SamePort:
      return "same_port";
    case DropReason::NotRelayed:
      return "not_relayed";
    case DropReason::FloodLimit:
      return "flood_limit";
    case DropReason::PortBlocked:
      return "port_blocked";
    case DropReason::StagedOverflow:
      return "staged_overflow";
    case DropReason::StagedExpired:
      return "staged_expired";
    case DropReason::PacketTooBig:
      return "packet_too_big";
    case DropReason::BadFragment:
      return "bad_fragment";
    case DropReason::FragmentOverlap:
      return "fragment_overlap";
    case DropReason::FragmentExpired:
      return "fragment_expired";
    case DropReason::ReassemblyFull:
      return "reassembly_full";
    case DropReason::BadProbe:
      return "bad_probe";
    case DropReason::ProbeFlood:
      return "probe_flood";
    case DropReason::BatchFull:
      return "batch_full";
    case DropReason::SocketError:
      return "socket_error";
    case DropReason::DeviceError:
      return "device_error";
    case DropReason::Truncated:
      return "truncated";
  }
  return "unknown";
}

}  // namespace culvert
