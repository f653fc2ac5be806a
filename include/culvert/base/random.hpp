// Where random bytes come from.
#pragma once

#include "culvert/base/bytes.hpp"

namespace culvert {

/// A source of random bytes: the system's in production (crypto/system_random.hpp), a seeded one in tests.
/// Not thread-safe; one per engine.
class Random {
 public:
  virtual void fill(ByteSpan out) noexcept = 0;

  /// A uniformly distributed 32-bit number.
  std::uint32_t next_u32() noexcept {
    std::uint32_t value = 0;
    fill(std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }

 protected:
  ~Random() = default;
};

}  // namespace culvert
