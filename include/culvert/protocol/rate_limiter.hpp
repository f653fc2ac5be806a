// How many handshake messages a source may send, and whether we are under load.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>

#include "culvert/base/address.hpp"
#include "culvert/base/time.hpp"
#include "culvert/protocol/limits.hpp"

namespace culvert {

/// Token bucket per source: IPv4 address or IPv6 /64, limits::handshakes_per_second with bursts of
/// limits::handshakes_burst. Bounded memory: when full of sources that are not idle, new sources are refused.
class RateLimiter {
 public:
  /// Takes one token of `source`. False: over the limit.
  [[nodiscard]] bool allow(const Address& source, Timestamp now) noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return buckets_.size(); }

 private:
  struct Bucket {
    Timestamp updated;
    std::int64_t tokens;  ///< in nanoseconds of refill time
  };
  void collect(Timestamp now) noexcept;

  boost::unordered_flat_map<Address, Bucket, std::hash<Address>> buckets_;
  Timestamp collected_{};
};

/// Decides when mac2 is demanded. There is no handshake queue to measure: work is done as it arrives, so load is the rate of
/// handshake messages with a valid mac1, as a leaky bucket. A source that alone fills half the bucket is under load by
/// itself and stops counting for the others, so that a flood from one address leaves the rest in peace (W-12).
class LoadMeter {
 public:
  /// Counts one message of `source`; true when it must bring a valid mac2.
  [[nodiscard]] bool is_under_load(const Address& source, Timestamp now) noexcept;

 private:
  struct Level {
    Timestamp updated{};
    Timestamp loaded_until{};
    double messages = 0;
  };
  /// Adds one message; returns whether `capacity` is or was lately exceeded.
  static bool fill(Level& level, double capacity, Timestamp now) noexcept;

  Level all_;
  boost::unordered_flat_map<Address, Level, std::hash<Address>> sources_;
  Timestamp collected_{};
};

}  // namespace culvert
