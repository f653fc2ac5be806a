// Every reason for which a packet can die.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace culvert {

/// Each dropped datagram or frame is counted under exactly one of these. The order is part of no interface.
enum class DropReason : std::uint8_t {
  // Datagrams, before any key is involved.
  DatagramLength,  ///< length does not fit the message type
  MessageType,     ///< unknown type, or reserved bytes not zero
  // Handshake messages.
  InvalidMac1,              ///< sender does not know our public key
  UnderLoad,                ///< answered with a cookie instead
  RateLimited,              ///< source exceeds its handshake rate under load
  HandshakeAuthentication,  ///< a field of the handshake does not open, or a DH result is zero
  UnknownPeer,              ///< the initiator's static key is not configured
  TimestampReplay,          ///< TAI64N not greater than the greatest seen from this peer
  InitiationFlood,          ///< initiations of this peer closer together than allowed
  UnexpectedResponse,       ///< response or cookie for a handshake that is not in progress
  InvalidCookie,            ///< cookie reply that does not open
  // Transport data.
  UnknownIndex,        ///< receiver index names no session
  CipherMismatch,      ///< message of another cipher suite than the session's
  SessionExpired,      ///< session older than reject_after_time
  CounterExhausted,    ///< counter at or above reject_after_messages
  DataAuthentication,  ///< AEAD tag does not verify
  Replay,              ///< counter seen before, or older than the window
  // What two culverts say to each other inside a session.
  UnknownEnvelope,  ///< of a kind that is not known here
  BadEnvelope,      ///< its padding or body does not fit its kind
  BadBench,         ///< of a benchmark: does not fit its kind, or answers no request of ours
  BenchFlood,       ///< requests for a benchmark closer together than heard
  ModeMismatch,     ///< frame from or for a peer that is not known to carry the same kind of frames
  // The frame inside, either direction.
  FrameHeader,       ///< not an IPv4 or IPv6 packet, or its lengths do not fit
  OffloadHeader,     ///< what the device says of segments or checksum does not fit the frame
  SourceNotAllowed,  ///< inner source address does not belong to the sending peer
  EcnMismatch,       ///< outer congestion mark on an inner packet that cannot carry it (RFC 6040)
  NoPeer,            ///< no peer is responsible for the destination address
  NoEndpoint,        ///< the peer's address is not known (yet)
  FrameTooLarge,     ///< frame exceeds what a datagram can carry
  // What the Ethernet switch does not forward.
  FrameTooShort,   ///< not even an Ethernet header
  SourceAddress,   ///< sent by a group or by nobody: no station has such an address
  LocalAddress,    ///< a peer uses the address of a station on the local side
  LinkLocalGroup,  ///< 01:80:c2:00:00:0x, which bridges keep to themselves, and nobody asked for them
  SamePort,        ///< the destination is where the frame came from
  NotRelayed,      ///< from peer to peer, and Relay = no
  FloodLimit,      ///< a peer sends more that goes everywhere than one may
  PortBlocked,     ///< to or from a peer through whom our own probe came back: a loop
  // Waiting for a session.
  StagedOverflow,  ///< oldest frame pushed out while waiting for a session
  StagedExpired,   ///< no session could be made while the frame waited
  // Frames and the path.
  PacketTooBig,     ///< larger than the path carries; its sender is told
  BadFragment,      ///< piece of a frame that does not say where it belongs, or not what those before said
  FragmentOverlap,  ///< piece of which something is here already
  FragmentExpired,  ///< frame that was given up because pieces are missing
  ReassemblyFull,   ///< no memory to put a frame together: too many peers send pieces
  BadProbe,         ///< probe without an id, or the answer to none of ours
  ProbeFlood,       ///< more probes than are answered
  // Handing over to the system.
  BatchFull,    ///< outgoing datagram memory could not be reserved
  LinkDown,     ///< the device was down when the datagram came, or was set down while the frame waited
  SocketError,  ///< the kernel refused the datagram
  DeviceError,  ///< the kernel refused the frame
  Truncated,    ///< packet was larger than the buffer it was read into
};

inline constexpr std::size_t drop_reason_count = static_cast<std::size_t>(DropReason::Truncated) + 1;

/// A short snake_case name, stable, for status output.
[[nodiscard]] std::string_view to_string(DropReason reason) noexcept;

/// How many packets died, by reason.
class DropCounters {
 public:
  void count(DropReason reason, std::uint64_t packets = 1) noexcept {
    counts_[static_cast<std::size_t>(reason)] += packets;
  }
  void add(const DropCounters& others) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += others.counts_[i];
  }
  [[nodiscard]] std::uint64_t operator[](DropReason reason) const noexcept {
    return counts_[static_cast<std::size_t>(reason)];
  }
  friend bool operator==(const DropCounters&, const DropCounters&) = default;

 private:
  std::array<std::uint64_t, drop_reason_count> counts_{};
};

}  // namespace culvert
