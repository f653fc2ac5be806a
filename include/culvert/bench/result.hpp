// What a benchmark found out: cells of a table, each measured in several rounds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace culvert {

/// What packets go through between the two ends.
enum class BenchMode : std::uint8_t {
  Uplink,     ///< nothing: the bare veth pair under the tunnel, which says what the load generator itself can do
  Tun,        ///< a routed device at both ends
  Tap,        ///< a switched device at both ends
  BridgedTap  ///< taps that are ports of bridges, and hosts behind other ports of these
};
inline constexpr std::string_view to_string(BenchMode mode) noexcept {
  constexpr std::string_view words[] = {"uplink", "tun", "tap", "tap+bridge"};
  return words[static_cast<std::size_t>(mode)];
}

/// Which of the kernel's offloads the tunnel uses: the rungs of a ladder.
enum class OffloadRung : std::uint8_t {
  Off,     ///< one packet at a time
  Udp,     ///< several datagrams at once (UDP_SEGMENT, UDP_GRO)
  Device,  ///< super-frames from and to the device (TSO, USO)
  On       ///< both
};
inline constexpr std::string_view to_string(OffloadRung rung) noexcept {
  constexpr std::string_view words[] = {"off", "udp", "device", "on"};
  return words[static_cast<std::size_t>(rung)];
}

/// What is measured in a cell. Beside its first figure each has those of what the tunnel spent on it.
enum class Measure : std::uint8_t {
  TcpUp,              ///< figure "throughput"
  TcpDown,            ///< the same
  TcpBoth,            ///< the same, of both directions together
  RateWithoutLoss,    ///< figure "rate": RFC 2544's throughput, FD.io's NDR
  RateAtHalfPercent,  ///< figure "rate" at 0.5 % loss: FD.io's PDR
  RoundTripIdle,      ///< figures "p50", "p99", "p99_9"
  RoundTripHalf,      ///< the same beside load at half the rate that passes without loss
  RoundTripFull       ///< the same beside load at that rate (RFC 8219, section 7.1)
};
inline constexpr std::string_view to_string(Measure measure) noexcept {
  constexpr std::string_view words[] = {"tcp-up", "tcp-down", "tcp-both", "ndr",
                                        "pdr",    "rtt-idle", "rtt-half", "rtt-full"};
  return words[static_cast<std::size_t>(measure)];
}

/// What tells one cell from all others.
struct CellKey {
  BenchMode mode = BenchMode::Tun;
  std::string cipher;  ///< "none", "chacha20-poly1305", "aes-256-gcm"; empty on the uplink
  OffloadRung offloads = OffloadRung::On;
  unsigned queues = 1;
  unsigned streams = 1;           ///< of TCP; flows of UDP
  std::uint32_t packet_size = 0;  ///< bytes of IP packets; of TCP the largest, so the device's MTU
  Measure measure = Measure::TcpUp;
  friend auto operator<=>(const CellKey&, const CellKey&) = default;
};

/// One number of a cell, round by round.
struct Figure {
  std::vector<double> rounds;           ///< in order, of those that gave one
  [[nodiscard]] double median() const;  ///< requires a round
  [[nodiscard]] double least() const;
  [[nodiscard]] double most() const;
  /// Whether the spread, most() − least(), is more than half of the median: not to be trusted.
  [[nodiscard]] bool is_wide() const;
};

/// The names of figures, with their units. All others are unknown to readers and passed over.
struct FigureKind {
  std::string_view name;
  std::string_view unit;
  bool more_is_better;
};
inline constexpr FigureKind figure_kinds[] = {
    {"throughput", "bit/s", true},
    {"rate", "packet/s", true},
    {"p50", "us", false},
    {"p99", "us", false},
    {"p99_9", "us", false},
    {"lost", "share", false},                 // of round trips that were begun
    {"cpu_per_gib", "s/GiB", false},          // of both engines together, TCP
    {"cpu_per_mpacket", "s/Mpacket", false},  // of both engines together, UDP
    {"system_calls", "1/packet", false},      // of both engines together; a packet is one of packet_size
    {"time_crypto", "share", false},          // of the engines' processor time, these four
    {"time_engine", "share", false},
    {"time_copies", "share", false},  // in the kernel
    {"time_kernel", "share", false},  // system calls otherwise
};

struct Cell {
  CellKey key;
  std::map<std::string, Figure> figures;       ///< by name
  std::map<std::string, std::uint64_t> drops;  ///< packets that the tunnel dropped, by reason, all rounds together
  bool is_limited_by_generator = false;        ///< more than the load generator alone could do would have passed
};

/// The machine and the program, as far as they explain the numbers.
struct Machine {
  std::string kernel, cpu, virtualization, culvert;  ///< virtualization: empty on bare metal, where known
  unsigned cpus = 0;
  std::uint64_t memory = 0;                                   ///< bytes
  std::vector<std::pair<std::string, std::string>> versions;  ///< of libraries
  std::vector<std::pair<std::string, std::string>>
      offloads;  ///< for each of the tunnel's paths, as culvert show says it
};

struct BenchResult {
  std::string kind;  ///< "quick", "default", "full", "peer"
  unsigned rounds = 0;
  std::uint64_t seed = 0;
  double seconds = 0;  ///< all of it
  Machine machine;
  std::vector<Cell> cells;  ///< in the order of their keys
  /// What the load generator itself costs: figure "timestamps" is the share by which time stamps raise its processor
  /// time per packet on the bare uplink.
  std::map<std::string, Figure> generator;
  std::vector<std::string> notes;  ///< for people: what was not measured, and why
};

}  // namespace culvert
