// A bridge for a tap, and a NIC without addresses in it, as steps of a set-up that can be undone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "culvert/base/mac_address.hpp"
#include "culvert/bridge/preflight.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/quick/undo.hpp"

namespace culvert {

/// What Bridge and BridgePort of a file ask for, in the calling thread's network namespace.
struct BridgePlan {
  std::uint32_t mtu = 0;                  ///< that of the bridge, which the tap needs at least
  std::optional<RemoveBridge> made;       ///< the bridge is missing: how one that is made is removed
  std::optional<ReleaseBridgePort> port;  ///< the NIC is not in the bridge yet: how it is released
};

/// Changes nothing. Nothing for a file without Bridge. Throws ConfigError for what must not be done: also for a NIC
/// with addresses, which needs somebody to confirm.
[[nodiscard]] std::optional<BridgePlan> plan_bridge(const Config& config, const SurroundingsFiles& files = {});

/// Makes the bridge, of the NIC's MAC address if there is one, or pins MAC address and MTU of the one that is there, so
/// that a port that joins changes neither. Throws std::system_error.
void make_bridge(const Config& config, const BridgePlan& plan);
void pin_bridge(const std::string& bridge);
void add_port(const ReleaseBridgePort& port);

/// Nothing to undo is no error; a bridge that has ports by now, or another of its name, stays.
void remove_bridge(const RemoveBridge& made);
void release_port(const ReleaseBridgePort& port);

}  // namespace culvert
