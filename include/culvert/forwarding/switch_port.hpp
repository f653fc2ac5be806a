// Where a switch's frames come from and go to.
#pragma once

#include <compare>
#include <cstdint>

#include "culvert/forwarding/prefix_table.hpp"

namespace culvert {

/// The local device, or a peer.
class SwitchPort {
 public:
  /// The local device, which comes before all peers.
  constexpr SwitchPort() = default;
  constexpr SwitchPort(PeerId peer) noexcept : number_(std::uint64_t{peer.value()} + 1) {}  // NOLINT: a peer is a port

  [[nodiscard]] constexpr bool is_local() const noexcept { return number_ == 0; }
  /// Not of the local device.
  [[nodiscard]] constexpr PeerId peer() const noexcept { return PeerId(static_cast<std::uint32_t>(number_ - 1)); }
  /// 0 for the local device, 1 more than the slot for a peer.
  [[nodiscard]] constexpr std::size_t number() const noexcept { return number_; }

  friend constexpr auto operator<=>(SwitchPort, SwitchPort) = default;

 private:
  std::uint64_t number_ = 0;
};

}  // namespace culvert
