// The switches that make a host a router, and how to put them back.
#pragma once

#include <string>
#include <vector>

#include "culvert/base/address.hpp"
#include "culvert/io/sysctl.hpp"

namespace culvert {

/// All settings that switching forwarding on will change, as they are in the calling thread's network namespace; the
/// switch itself is the first. Empty if it is on. Throws std::system_error.
[[nodiscard]] std::vector<KernelSetting> settings_before_forwarding(Family family);
/// Of the settings, those of a family.
[[nodiscard]] std::vector<KernelSetting> settings_of(const std::vector<KernelSetting>& settings, Family family);
/// Throws std::system_error.
void switch_forwarding_on(Family family);
/// Puts back what settings_before_forwarding() told, of either family, unless somebody has switched forwarding off
/// meanwhile. Interfaces that are gone are passed over. Throws std::system_error.
void restore_forwarding(const std::vector<KernelSetting>& before);
/// Whether a name is of a setting that is put back.
[[nodiscard]] bool is_forwarding_setting(const std::string& name);

/// Whether this network namespace has a default route that a router has advertised, which the kernel deletes when
/// forwarding is switched on, unless accept_ra is 2 (addrconf_fixup_forwarding in net/ipv6/addrconf.c).
[[nodiscard]] bool would_lose_advertised_routes();

}  // namespace culvert
