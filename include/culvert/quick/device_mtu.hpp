// The MTU of a device whose file has none.
#pragma once

#include <cstdint>

#include "culvert/config/config_file.hpp"
#include "culvert/netns/network_namespace.hpp"

namespace culvert {

/// What fits, encrypted, through the ways from `socket_namespace` to all peers that are there at once, or else through
/// the default route; no less than what IP asks for. Throws std::system_error.
[[nodiscard]] std::uint16_t fitting_mtu(const Config& config, const NetworkNamespace& socket_namespace);

}  // namespace culvert
