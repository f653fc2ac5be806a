// What a switched device has beside a routed one.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "culvert/forwarding/ethernet_switch.hpp"

namespace culvert {

struct Switching {
  /// `hash_key` should be random.
  explicit Switching(const std::array<std::uint64_t, 2>& hash_key) : ethernet(hash_key) {}

  EthernetSwitch ethernet;
  /// By slot: the peer has AllowedIPs, which its frames must then come from.
  std::vector<bool> is_restricted;
};

}  // namespace culvert
