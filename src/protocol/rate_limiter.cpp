// Leaky buckets per source, in bounded memory. A bucket is kept as the moment at which it will be empty again.
#include "culvert/protocol/rate_limiter.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace culvert {

namespace {

using Duration = Timestamp::duration;
constexpr Duration second = std::chrono::seconds(1);
constexpr Duration handshake_cost = second / limits::handshakes_per_second;
constexpr Duration load_cost = second / limits::load_drained_per_second;
constexpr Duration source_load_cost = second / limits::source_load_drained_per_second;

/// Whoever has one IPv6 address has its /64, so that is what counts as one source.
Address source_of(const Address& address) noexcept {
  return address.is_v4() ? address : Prefix{address, 64}.masked().address;
}

/// The entry of `source`, made if there is room; null otherwise.
template <class Map>
typename Map::mapped_type* find_or_add(Map& map, const Address& source) noexcept {
  if (const auto found = map.find(source); found != map.end()) return &found->second;
  if (map.size() >= limits::rate_limiter_entries_max) return nullptr;
  try {
    return &map[source];
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

/// Forgets what is idle; once per interval only, as it looks at every entry.
template <class Map, class Idle>
void collect(Map& map, Timestamp& collected, Timestamp now, Idle is_idle) noexcept {
  if (now - collected < limits::rate_limiter_gc_interval) return;
  collected = now;
  erase_if(map, [&](const auto& entry) { return is_idle(entry.second); });
}

}  // namespace

std::size_t SourceHash::operator()(const Address& address) const noexcept {
  const Mac mac = keyed_blake2s(key, {address.bytes()});
  std::size_t value;
  std::memcpy(&value, mac.data(), sizeof value);
  return value;
}

bool RateLimiter::allow(const Address& source, Timestamp now) noexcept {
  collect(buckets_, collected_, now, [&](const Bucket& bucket) { return bucket.full_at <= now; });
  Bucket* bucket = find_or_add(buckets_, source_of(source));
  if (bucket == nullptr) return false;
  const Timestamp full_at = std::max(bucket->full_at, now) + handshake_cost;
  if (full_at - now > limits::handshakes_burst * handshake_cost) return false;
  bucket->full_at = full_at;
  return true;
}

bool LoadMeter::is_under_load(const Address& source, Timestamp now) noexcept {
  collect(sources_, collected_, now,
          [&](const Level& level) { return level.drained_at <= now && level.loaded_until <= now; });
  if (Level* level = find_or_add(sources_, source_of(source))) {
    if (fill(*level, limits::source_load_capacity, source_load_cost, now)) return true;
  }
  return fill(all_, limits::load_capacity, load_cost, now);
}

bool LoadMeter::fill(Level& level, std::size_t capacity, Timestamp::duration cost, Timestamp now) noexcept {
  const Timestamp brim = now + static_cast<Duration::rep>(capacity) * cost;
  level.drained_at = std::max(level.drained_at, now) + cost;
  if (level.drained_at > brim) {
    level.drained_at = brim;
    level.loaded_until = now + limits::under_load_time;
  }
  return now < level.loaded_until;
}

}  // namespace culvert
