// What putting a changed file in force would change, in words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "culvert/config/config_file.hpp"
#include "culvert/io/netlink.hpp"

namespace culvert {

/// A running tunnel: what its file said when it came up or was last reloaded, and what is really there.
struct PresentState {
  const Config* file = nullptr;
  Config device;  ///< keys, port, mark and peers as the device has them
  std::uint32_t mtu = 0;
  std::vector<Prefix> addresses;  ///< of the device
  std::vector<Route> routes;      ///< through the device
};

/// One line for each thing that differs from `wanted`, whose MTU and mark are decided and whose routes are
/// `wanted_routes`. What neither file asks for, such as a route that a hook made, is no difference. Of secret keys only
/// that they change. Empty: none. Pure.
[[nodiscard]] std::vector<std::string> differences(const PresentState& present, const Config& wanted,
                                                   const std::vector<Route>& file_routes,
                                                   const std::vector<Route>& wanted_routes);

}  // namespace culvert
