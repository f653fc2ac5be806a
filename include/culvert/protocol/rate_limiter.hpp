// How many handshake messages a source may send, and whether we are under load.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>

#include "culvert/base/address.hpp"
#include "culvert/base/time.hpp"
#include "culvert/crypto/hash.hpp"
#include "culvert/protocol/limits.hpp"

namespace culvert {

/// A keyed hash, so that nobody can choose source addresses that all fall into one place.
struct SourceHash {
  using is_avalanching = void;
  std::size_t operator()(const Address& address) const noexcept;
  Mac key;
};

/// Token bucket per source: IPv4 address or IPv6 /64, limits::handshakes_per_second with bursts of
/// limits::handshakes_burst. Bounded memory: when full of sources that are not idle, new sources are refused.
class RateLimiter {
 public:
  /// `hash_key` should be random.
  explicit RateLimiter(const Mac& hash_key = {}) : buckets_(0, SourceHash{hash_key}) {}

  /// Takes one token of `source`. False: over the limit.
  [[nodiscard]] bool allow(const Address& source, Timestamp now) noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return buckets_.size(); }

 private:
  struct Bucket {
    Timestamp full_at;  ///< when all tokens will be back
  };

  boost::unordered_flat_map<Address, Bucket, SourceHash> buckets_;
  Timestamp collected_{};
};

/// Decides when mac2 is demanded. There is no handshake queue to measure: work is done as it arrives, so load is the
/// rate of handshake messages with a valid mac1, as a leaky bucket. A source that alone fills half the bucket is under
/// load by itself and stops counting for the others, so that a flood from one address leaves the rest in peace (W-12).
/// Bounded memory: sources beyond it count for all only.
class LoadMeter {
 public:
  /// `hash_key` should be random.
  explicit LoadMeter(const Mac& hash_key = {}) : sources_(0, SourceHash{hash_key}) {}

  /// Counts one message of `source`; true when it must bring a valid mac2.
  [[nodiscard]] bool is_under_load(const Address& source, Timestamp now) noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return sources_.size(); }

 private:
  struct Level {
    Timestamp drained_at{};
    Timestamp loaded_until{};
  };
  /// Adds one message to a bucket that holds `capacity` messages and drains one each `cost`; returns whether it runs
  /// over or lately did.
  static bool fill(Level& level, std::size_t capacity, Timestamp::duration cost, Timestamp now) noexcept;

  Level all_;
  boost::unordered_flat_map<Address, Level, SourceHash> sources_;
  Timestamp collected_{};
};

}  // namespace culvert
