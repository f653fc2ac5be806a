// A TUN device with its addresses, MTU and routes, as a config file asks for it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/config/config_file.hpp"
#include "culvert/io/netlink.hpp"
#include "culvert/io/tun_device.hpp"
#include "culvert/netns/network_namespace.hpp"
#include "culvert/protocol/limits.hpp"

namespace culvert {

/// What a file does not say of a device.
struct DeviceSetup {
  std::uint32_t default_route_table = 254;  ///< where AllowedIPs of length 0 go with Table = auto
  /// Told what comes next, before each step; what it throws ends the set-up.
  std::function<void(std::string_view)> before_step;
  /// Of a Tunnel whose device another process makes, in a network namespace that only that one may enter: asked for
  /// the device, set up as config says, when the sockets are bound.
  std::function<TunDevice()> obtain;
};

/// Creates device `name` in namespace `where`, gives it what `config` says, and sets it up. Throws std::system_error;
/// then nothing is left, because the kernel removes addresses and routes with the device.
[[nodiscard]] TunDevice set_up_device(const std::string& name, const Config& config, const NetworkNamespace& where,
                                      const DeviceSetup& setup = {});

/// Makes of device `name`, set up with `before` (and its default routes in `table_before`), what `wanted` asks for.
/// Only what one of both asks for is touched; what is missing although both ask for it is made again. Throws
/// std::system_error, with a part of it done.
void change_device(const std::string& name, const NetworkNamespace& where, const Config& before,
                   std::uint32_t table_before, const Config& wanted, std::uint32_t wanted_table);

/// Gives device `name` those addresses and routes of `config` that it lacks, as after somebody set it down, with which
/// the kernel removes routes and IPv6 addresses. Throws std::system_error.
void restore_device(const std::string& name, const Config& config, const NetworkNamespace& where,
                    std::uint32_t default_route_table);

/// The MTU of a device whose file has none and for which none was found better.
[[nodiscard]] constexpr std::uint32_t default_mtu_of(DeviceMode mode) noexcept {
  return mode == DeviceMode::Switched ? limits::default_ethernet_mtu : limits::default_mtu;
}

/// How many processors this process may run on.
[[nodiscard]] std::size_t processors_allowed();

/// Threads that carry packets: Queues, or else as many as the processors of this process suggest.
[[nodiscard]] std::size_t workers_of(const Config& config);

/// The routes that AllowedIPs and Table ask for: one per distinct prefix, without those that the interface's own
/// addresses imply.
[[nodiscard]] std::vector<Route> routes_of(const Config& config, std::uint32_t default_route_table = 254);

}  // namespace culvert
