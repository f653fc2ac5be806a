// Whether a NIC may be put into a bridge at all: asked of plain facts, before anything is changed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "culvert/bridge/surroundings.hpp"
#include "culvert/io/netlink.hpp"

namespace culvert {

/// What a user asks for.
struct BridgeWish {
  std::string nic;
  std::string bridge;
  std::string tap;                              ///< a further port; may be empty
  std::optional<std::chrono::seconds> confirm;  ///< undo all unless confirmed in this time
  bool has_stp = false;
};

/// What is known of what he names.
struct BridgeFacts {
  std::vector<LinkDetails> links;      ///< of the network namespace
  std::vector<NetworkObject> objects;  ///< at the NIC
  Surroundings surroundings;

  [[nodiscard]] const LinkDetails* link(const std::string& name) const;
  [[nodiscard]] const LinkDetails* link(std::uint32_t index) const;
  /// Whether somebody may be reaching this host by an address of the NIC.
  [[nodiscard]] bool has_address() const;
};

/// With spanning tree a new bridge forwards nothing for twice this long (IEEE 802.1D).
inline constexpr std::chrono::seconds stp_forward_delay{15};
inline constexpr std::chrono::seconds least_confirm_with_stp{90};
inline constexpr std::chrono::seconds least_confirm{5};
inline constexpr std::chrono::seconds most_confirm{86400};

/// Why not, and what to do instead; nothing if nothing stands in the way.
[[nodiscard]] std::optional<std::string> refusal_of(const BridgeWish& wish, const BridgeFacts& facts);
/// What the user should know before it is done.
[[nodiscard]] std::vector<std::string> cautions_about(const BridgeWish& wish, const BridgeFacts& facts);
/// How long to wait for him: longer than he asked for where the bridge itself needs longer.
[[nodiscard]] std::optional<std::chrono::seconds> confirm_time_of(const BridgeWish& wish);

}  // namespace culvert
