// The protocol's constants, under the names of the WireGuard paper (section 6) and its reference code.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace culvert::limits {

using namespace std::chrono_literals;

inline constexpr std::uint64_t rekey_after_messages = std::uint64_t{1} << 60;
/// The paper's value; the kernel's is 63 larger, which is inside what the paper allows a receiver to have left over.
inline constexpr std::uint64_t reject_after_messages = ~std::uint64_t{0} - (std::uint64_t{1} << 13);
inline constexpr auto rekey_after_time = 120s;
inline constexpr auto reject_after_time = 180s;
inline constexpr auto rekey_attempt_time = 90s;
inline constexpr auto rekey_timeout = 5s;
inline constexpr auto keepalive_timeout = 10s;
/// Upper end of the random delay added to handshake retries, so that two peers starting together converge.
inline constexpr auto rekey_timeout_jitter_max = 333ms;
/// Retransmissions before giving up: more than this many means no more.
inline constexpr unsigned max_timer_handshakes = rekey_attempt_time / rekey_timeout;
/// Initiator, on receiving, once per session: start a handshake when the session is this old.
inline constexpr auto last_minute_time = reject_after_time - keepalive_timeout - rekey_timeout;
/// Data sent and nothing authenticated received for this long: the peer may be gone, start a handshake.
inline constexpr auto dead_peer_time = keepalive_timeout + rekey_timeout;
/// All session keys and handshake state are wiped this long after the last session was derived.
inline constexpr auto zero_keys_time = 3 * reject_after_time;

/// Initiations of one peer closer together than this are dropped.
inline constexpr auto min_initiation_interval = 20ms;
inline constexpr auto cookie_secret_max_age = 120s;
/// How long an initiator uses a cookie it was given: shorter than its maker accepts it.
inline constexpr auto cookie_max_age = cookie_secret_max_age - rekey_timeout;

inline constexpr unsigned handshakes_per_second = 20;  ///< per source, while under load
inline constexpr unsigned handshakes_burst = 5;        ///< per source, while under load
inline constexpr std::size_t rate_limiter_entries_max = 65536;
inline constexpr auto rate_limiter_gc_interval = 1s;
inline constexpr auto under_load_time = 1s;  ///< how long "under load" outlasts its cause
/// Handshake messages at once that put us under load (the kernel's queue length), and how fast they are forgotten.
inline constexpr std::size_t load_capacity = 512;
inline constexpr unsigned load_drained_per_second = 2560;
/// The same for one source: half, so that it never fills the common bucket alone.
inline constexpr std::size_t source_load_capacity = 256;
inline constexpr unsigned source_load_drained_per_second = 1280;

inline constexpr std::size_t replay_window_bits = 8192;
/// How far behind the greatest a counter may be: bits less one word, which is the one being reused.
inline constexpr std::size_t replay_window_size = replay_window_bits - 64;

inline constexpr std::size_t staged_frames_max = 128;  ///< per peer; the oldest goes first
inline constexpr std::size_t padding_multiple = 16;    ///< of plaintext, never beyond the MTU
inline constexpr std::size_t peers_max = std::size_t{1} << 20;
inline constexpr std::size_t default_mtu = 1420;
inline constexpr std::size_t default_ethernet_mtu = 1500;  ///< IEEE 802.3, and what a bridge's other ports have
/// Largest UDP payload over IPv4: 65535 less the IP and UDP headers.
inline constexpr std::size_t datagram_size_max = 65507;
inline constexpr std::size_t data_overhead = 32;  ///< transport header and tag

/// Traffic class of handshake datagrams: DSCP AF41, as the reference code sends them.
inline constexpr std::uint8_t handshake_traffic_class = 0x88;

}  // namespace culvert::limits
