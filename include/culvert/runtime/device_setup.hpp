// A TUN device with its addresses, MTU and routes, as a config file asks for it.
#pragma once

#include <string>
#include <vector>

#include "culvert/config/config_file.hpp"
#include "culvert/io/netlink.hpp"
#include "culvert/io/tun_device.hpp"
#include "culvert/netns/network_namespace.hpp"

namespace culvert {

/// Creates device `name` in namespace `where`, gives it what `config` says, and sets it up. Throws std::system_error;
/// then nothing is left, because the kernel removes addresses and routes with the device.
[[nodiscard]] TunDevice set_up_device(const std::string& name, const Config& config, const NetworkNamespace& where);

/// The routes that AllowedIPs and Table ask for: one per distinct prefix, without those that the interface's own
/// addresses imply.
[[nodiscard]] std::vector<Route> routes_of(const Config& config);

}  // namespace culvert
