// How large datagrams may be on the way to a peer: found by probes and watched (DPLPMTUD, RFC 8899).
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "culvert/base/address.hpp"
#include "culvert/base/bytes.hpp"
#include "culvert/base/endian.hpp"
#include "culvert/base/result.hpp"
#include "culvert/base/time.hpp"
#include "culvert/protocol/envelope.hpp"
#include "culvert/protocol/limits.hpp"

namespace culvert {

namespace limits {
/// IP MTU that every path is taken to have (RFC 8200, section 5): BASE_PLPMTU of RFC 8899.
inline constexpr std::size_t base_path_mtu = 1280;
/// Until the kernel said what its route carries.
inline constexpr std::size_t default_route_mtu = 1500;
/// Probes of one size without an answer after which it counts as too large: MAX_PROBES.
inline constexpr unsigned path_probes_max = 3;
/// How long after one the next leaves. Three of them make the second of RFC 8899's PROBE_TIMER, which is what an answer
/// may take.
inline constexpr auto path_probe_interval = std::chrono::nanoseconds(std::chrono::seconds(1)) / path_probes_max;
/// How old the proof of the present size may be while datagrams larger than the base are sent: CONFIRMATION_TIMER.
inline constexpr auto path_confirm_interval = std::chrono::seconds(1);
/// After that time a larger size is tried again: PMTU_RAISE_TIMER.
inline constexpr auto path_raise_interval = std::chrono::seconds(600);
/// Between attempts with the base, when not even that is answered.
inline constexpr auto path_retry_interval = std::chrono::seconds(2);
/// No probe leaves when there were no data for so long.
inline constexpr auto path_idle_time = std::chrono::seconds(1);
}  // namespace limits

/// IP and UDP headers.
[[nodiscard]] constexpr std::size_t outer_headers_of(Family family) noexcept {
  return (family == Family::V4 ? 20U : 40U) + 8U;
}

/// One peer's path, as a state machine: says when to send which probe, and how large data may be. Sizes are bytes of
/// UDP payload. Knows no session and no clock.
///
/// At first the size is what the route carries, as without any of this. It is proved by a probe; if that is lost, and
/// whenever the proof of the present size cannot be renewed, the size is the base at once and the search begins anew:
/// the route's size first, then halves of what is open.
class PathMtu {
 public:
  struct Probe {
    std::uint32_t id;
    std::size_t size;  ///< of the datagram
  };
  enum class State : std::uint8_t {
    Off,        ///< nothing is known of the path, and nobody asks
    Assumed,    ///< what the route carries, not proved
    Searching,  ///< carried so far; more may be
    Found,      ///< carried, and one byte more is not, or not wanted
  };

  /// The peer answers probes, and neither the route nor the peer takes datagrams larger than `ceiling`; a ceiling below
  /// the base counts as the base. Called again, what was found out stays: sizes above are searched for, or not.
  void start(std::size_t base, std::size_t ceiling) noexcept;
  /// The peer answers none, or is somewhere else: all that was found out is void.
  void stop() noexcept;

  [[nodiscard]] bool is_on() const noexcept { return is_on_; }
  [[nodiscard]] State state() const noexcept;
  /// How large data may be. Requires that it is not Off.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t ceiling() const noexcept { return ceiling_; }

  /// Data left, in datagrams of up to `size` bytes: without data there are no probes.
  void data_sent(std::size_t size, Timestamp now) noexcept;
  /// The peer says that a probe arrived. False when there was none such, or its answer was here already.
  bool acknowledged(std::uint32_t id, std::size_t size, Timestamp now) noexcept;

  /// When expire() has something to do.
  [[nodiscard]] std::optional<Timestamp> deadline() const noexcept { return deadline_; }
  /// A probe that is due: to be sent so that it is lost rather than fragmented.
  [[nodiscard]] std::optional<Probe> expire(Timestamp now) noexcept;
  /// True once after each time that it would be good to know anew what the route carries.
  [[nodiscard]] bool take_route_question() noexcept;

 private:
  void begin_anew() noexcept;
  /// Chooses what to find out next, if anything is due.
  [[nodiscard]] bool begin_step(Timestamp now) noexcept;
  void give_up_step(Timestamp now) noexcept;
  void schedule(Timestamp now) noexcept;
  [[nodiscard]] bool is_searching() const noexcept { return size_ + 1 < refuted_; }
  [[nodiscard]] bool is_step_under_way() const noexcept { return tries_ != 0; }

  struct Sent {
    std::uint32_t id = 0;
    std::size_t size = 0;  ///< 0: answered, or never sent
  };

  bool is_on_ = false;
  bool is_proved_ = false;
  bool is_ceiling_open_ = false;  ///< to be tried before anything in between
  bool has_sent_large_ = false;   ///< since size_ was proved
  bool asks_for_route_ = false;
  std::uint8_t tries_ = 0;  ///< of the step under way
  std::size_t base_ = 0;
  std::size_t ceiling_ = 0;
  std::size_t size_ = 0;
  std::size_t refuted_ = 0;    ///< smallest size that counts as too large
  std::size_t candidate_ = 0;  ///< size of the step under way
  std::uint32_t next_id_ = 0;
  Timestamp last_data_;
  Timestamp proved_at_;
  Timestamp raise_at_;
  Timestamp not_before_;
  std::optional<Timestamp> deadline_;
  std::array<Sent, 8> sent_;  ///< the newest probes: an answer that is late still proves something
};

/// One word in small letters, stable, for status output.
[[nodiscard]] std::string_view to_string(PathMtu::State state) noexcept;

/// A probe's plaintext is at least as long as that of its answer with padding: nobody is made to send more than he
/// gets.
inline constexpr std::size_t path_probe_size_min = limits::padding_multiple;
/// The body of a `probe` envelope: an id, then zeros up to the size that is tried. Nothing when it is too short.
[[nodiscard]] std::optional<std::uint32_t> parse_probe(ByteView body) noexcept;
/// The plaintext of a probe that fills `plaintext`, at least path_probe_size_min bytes.
void write_probe(ByteSpan plaintext, std::uint32_t id) noexcept;

/// The body of a `probe_ack` envelope.
struct ProbeAck {
  Le32 id;
  Le16 size;  ///< of the datagram the probe came in: bytes of UDP payload
};
static_assert(sizeof(ProbeAck) == 6 && alignof(ProbeAck) == 1);
[[nodiscard]] std::optional<ProbeAck> parse_probe_ack(ByteView body) noexcept;
/// A whole plaintext, without padding.
inline constexpr std::size_t path_ack_size = envelope_header_size + sizeof(ProbeAck);
[[nodiscard]] std::array<std::byte, path_ack_size> build_probe_ack(const ProbeAck& ack) noexcept;

/// How many probes of a peer are answered: a bucket of 32, and 32 more each second.
class ProbeAckLimit {
 public:
  [[nodiscard]] bool allow(Timestamp now) noexcept;

 private:
  static constexpr unsigned burst = 32;
  static constexpr auto refill_time = std::chrono::nanoseconds(std::chrono::seconds(1)) / burst;
  /// When the bucket is full again.
  Timestamp full_at_;
};

}  // namespace culvert
