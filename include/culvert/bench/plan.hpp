// Which cells a benchmark measures: all combinations would take hours.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include "culvert/bench/bench_lab.hpp"
#include "culvert/bench/result.hpp"

namespace culvert {

enum class BenchKind : std::uint8_t { Quick, Default, Full };

/// What the user asks for. An empty list: as the kind has it.
struct BenchWish {
  BenchKind kind = BenchKind::Default;
  std::vector<BenchMode> modes;
  std::vector<CipherSuite> ciphers;
  std::vector<OffloadRung> offloads;
  std::vector<std::uint32_t> sizes;  ///< of IP packets
  std::vector<unsigned> queues;
  std::vector<unsigned> streams;
};

/// One measurement; what it finds out may be several cells.
struct BenchStep {
  enum class Kind : std::uint8_t {
    Tcp,         ///< one cell
    Rates,       ///< both rates, of one size
    RoundTrips,  ///< three, beside load of one size, whose rate must have been found before
    Timestamps   ///< what they cost, on the uplink
  };
  Kind kind = Kind::Tcp;
  Measure tcp = Measure::TcpUp;
  unsigned streams = 1;           ///< flows of Rates
  std::uint32_t packet_size = 0;  ///< of TCP the device's MTU
  bool is_profiled = false;       ///< find out where the time goes
  friend bool operator==(const BenchStep&, const BenchStep&) = default;
};

/// What is measured on one tunnel while it is there.
struct BenchStage {
  Arrangement arrangement;
  std::vector<BenchStep> steps;
};

/// The largest packets that fit through the lab's tunnels.
inline constexpr std::uint32_t bench_size_max = 8920;
inline constexpr unsigned bench_streams_max = 64;

/// Throws std::invalid_argument that says what is wrong with the wish, and what to ask for instead: a size too small or
/// too large, more queues than a device may have, no or too many streams.
///
/// The middle of the plan is one arrangement per mode: ChaCha20-Poly1305, offloads on, one queue. There all is
/// measured; the further away from it, the less. Full: everything everywhere.
[[nodiscard]] std::vector<BenchStage> plan_of(const BenchWish& wish);

/// Of a tunnel that is there already: one stage, on it. The first tells beforehand what no tunnel could do. Throws std::invalid_argument for a wish that would change the
/// tunnel, and for packets larger than its MTU.
void check_for_tunnel(const BenchWish& wish);
[[nodiscard]] std::vector<BenchStage> plan_of_tunnel(const BenchWish& wish, const Arrangement& tunnel);

/// How long single trials last.
struct TrialTimes {
  std::chrono::milliseconds warm_up{50}, tcp{250}, udp{80}, round_trips{250};
};
[[nodiscard]] constexpr TrialTimes trial_times_of(BenchKind kind) noexcept {
  using std::chrono::milliseconds;
  if (kind == BenchKind::Quick) return {milliseconds(30), milliseconds(150), milliseconds(50), milliseconds(150)};
  return {};
}

/// About how long a step, and setting up a stage, take.
[[nodiscard]] std::chrono::milliseconds expected_time(const BenchStep& step, const TrialTimes& times) noexcept;
inline constexpr std::chrono::milliseconds expected_setup_time{200};

/// The reverse of to_string(); throws std::invalid_argument for other words, also for "tun+bridge", with what is
/// possible.
[[nodiscard]] BenchMode bench_mode_of(std::string_view word);
[[nodiscard]] OffloadRung offload_rung_of(std::string_view word);

}  // namespace culvert
