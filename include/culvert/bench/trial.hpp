// One trial (RFC 2544): load between two ends for a moment, and what became of it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <vector>

namespace culvert {

/// Which way load goes, seen from the near end: from which a benchmark is started.
enum class Direction : std::uint8_t { Up, Down, Both };

/// Plain TCP, as much as there is room for.
struct TcpTrial {
  Direction direction = Direction::Up;
  unsigned streams = 1;                   ///< in each direction, 1 to 64
  std::chrono::milliseconds warm_up{50};  ///< not counted
  std::chrono::milliseconds duration{250};
  std::uint64_t rate_max = 0;  ///< bits a second of payload, per direction; 0: as much as there is room for
};

/// What arrived, counted where it arrived.
struct TcpOutcome {
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  std::uint64_t bytes_in_all = 0;       ///< that were acknowledged, both ways, those of the warm-up included
  std::chrono::nanoseconds elapsed{0};  ///< of the counting
};

/// Numbered UDP packets at a constant rate.
struct UdpTrial {
  Direction direction = Direction::Up;  ///< not Both
  std::size_t packet_size = 64;         ///< of IP packets, so with their header and UDP's: udp_packet_min to 65535
  double rate = 0;                      ///< packets a second; 0: as many as the sender can
  std::chrono::milliseconds duration{100};
  unsigned flows = 1;          ///< pairs of ports that packets are spread over, 1 to 64
  bool has_timestamps = true;  ///< each burst carries when it was sent; without: to see what that costs
};
/// Headers of IPv6 and UDP, and what the load generator writes into each packet.
inline constexpr std::size_t udp_packet_min = 64;

struct UdpOutcome {
  std::uint64_t wanted = 0;      ///< rate × duration; of a flood what was sent
  std::uint64_t sent = 0;        ///< accepted by the sender's kernel
  std::uint64_t received = 0;    ///< each packet once, however late
  std::uint64_t sink_drops = 0;  ///< arrived while the sink's socket was full: the sink was too slow, not the way
  std::chrono::nanoseconds elapsed{0};  ///< from the first to the end of the last sending
  /// How much longer the last packets took than the quickest, where packets have time stamps: what a queue that grew
  /// during the trial still held at its end. What the sink itself let lie is not in it.
  std::chrono::microseconds backlog{0};

  /// The share of `received` that came while it was sent. Buffers take in a short trial what the way does not carry;
  /// but a backlog of up to a fortieth of the time, or 2 ms, is taken for an accident of scheduling.
  [[nodiscard]] double share_in_time() const noexcept {
    const std::chrono::duration<double> time = elapsed, later = backlog;
    if (later <= std::max(time / 40, std::chrono::duration<double>(0.002))) return 1;
    return time / (time + later);
  }
  /// Of what was wanted: what the sender could not get rid of in time counts, and what came behind its time, too.
  [[nodiscard]] double loss() const noexcept {
    if (wanted == 0) return 0;
    return std::max(0.0, 1 - static_cast<double>(received) * share_in_time() / static_cast<double>(wanted));
  }
};

/// Packets that are answered, and sent at fixed intervals (RFC 8219, section 7.1) whether answers come or not.
struct RoundTripTrial {
  std::size_t packet_size = 64;             ///< as above
  std::chrono::microseconds interval{125};  ///< from one to the next
  std::chrono::milliseconds duration{250};
  /// Goes at the same time, on ports of its own; its duration is of no consequence. Questions are part of its rate, a
  /// tenth at the most: beside slow load they are further apart.
  std::optional<UdpTrial> load;
};

struct RoundTripOutcome {
  std::vector<std::chrono::nanoseconds> times;  ///< in the order in which answers came
  std::uint64_t lost = 0;                       ///< not answered within 500 ms
  std::optional<UdpOutcome> load;
};

/// The way to the far end is gone, or the far end has ended it: no further trial will succeed.
class PathLost : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Two ends with a way between them.
class MeasuredPath {
 public:
  virtual ~MeasuredPath() = default;
  // Each makes its own sockets and has closed them when it returns, and waits for nothing longer than some seconds more
  // than the trial lasts. They throw std::system_error or std::runtime_error that say what could not be done at which
  // end; PathLost is one that all later ones throw, too, and at once.
  virtual TcpOutcome run(const TcpTrial& trial) = 0;
  virtual UdpOutcome run(const UdpTrial& trial) = 0;
  virtual RoundTripOutcome run(const RoundTripTrial& trial) = 0;
};

}  // namespace culvert
