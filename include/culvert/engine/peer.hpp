// One remote: everything the engine keeps about it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "culvert/base/endpoint.hpp"
#include "culvert/base/time.hpp"
#include "culvert/engine/agreement.hpp"
#include "culvert/engine/bench_talk.hpp"
#include "culvert/engine/staged_frames.hpp"
#include "culvert/forwarding/prefix_table.hpp"
#include "culvert/protocol/cookie.hpp"
#include "culvert/protocol/handshake.hpp"
#include "culvert/protocol/path_mtu.hpp"
#include "culvert/protocol/reassembler.hpp"
#include "culvert/protocol/session_set.hpp"
#include "culvert/protocol/timers.hpp"

namespace culvert {

/// Owned by PeerDirectory at a stable address; touched by the engine only, readable by others between its calls.
struct Peer {
  Peer(PeerId slot, const Identity& identity, const PublicKey& key)
      : id(slot), handshake(identity, key, PresharedKey()), answer(identity, key, PresharedKey()), cookies(key) {}

  [[nodiscard]] const PublicKey& public_key() const noexcept { return handshake.peer(); }

  PeerId id;
  Handshake handshake;  ///< begun by us
  Handshake answer;     ///< begun by the peer: apart, so that initiations that cross need not cancel each other
  SessionSet sessions;
  CookieHolder cookies;
  Timers timers;
  StagedQueue staged;
  Agreement agreement;

  /// What the route to it carries, in bytes of IP packets, and what was found out beyond that.
  std::size_t route_mtu = limits::default_route_mtu;
  PathMtu path_mtu;
  ProbeAckLimit probe_acks;
  std::uint32_t next_frame_in_pieces = 0;
  ReassemblyPlace reassembly;

  std::unique_ptr<BenchTalk> bench;  ///< once there was some

  /// How to reach it: configured, then wherever its last authenticated packet came from.
  std::optional<Path> path;
  /// Until then Path::local stays unset, whatever is heard.
  std::optional<Timestamp> source_is_free_until;
  /// Where the next initiation goes instead; forgotten when a handshake completes or the peer turns up elsewhere.
  std::optional<Endpoint> candidate;
  /// That initiation is begun without waiting for another reason.
  bool wants_handshake_now = false;
  /// When the last initiation or response of ours left: the next initiation waits limits::rekey_timeout.
  std::optional<Timestamp> last_handshake_sent;
  /// Our last response left it to routing from which of our addresses it goes.
  bool has_answered_from_any_address = false;
  /// A persistent keepalive was just switched on: one is sent without waiting for the interval.
  bool wants_keepalive_now = false;

  /// When the last session was confirmed; unset: never.
  std::optional<WallTime> last_handshake;
  std::uint64_t received_bytes = 0;  ///< of authenticated datagrams
  std::uint64_t sent_bytes = 0;      ///< of datagrams made for it
};

}  // namespace culvert
