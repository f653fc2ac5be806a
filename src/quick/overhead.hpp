// What a packet grows by on its way through a tunnel.
#pragma once

#include <cstdint>

#include "culvert/base/address.hpp"
#include "culvert/protocol/limits.hpp"

namespace culvert {

/// Outer IP and UDP headers, and what the protocol adds.
constexpr std::uint32_t overhead_over(Family outer) noexcept {
  return (outer == Family::V4 ? 20 : 40) + 8 + std::uint32_t{limits::data_overhead};
}

}  // namespace culvert
