// What attaching and taking back have in common.
#pragma once

#include <cstdint>
#include <string>

#include "culvert/io/netlink.hpp"

namespace culvert {

/// What a setting of the NIC is while that is a port.
[[nodiscard]] std::string port_value_of(const std::string& setting);
/// Adds an IPv6 address without waiting for duplicate address detection.
void add_at_once(Netlink& netlink, const NetworkObject& object, AddMode mode);
/// Returns when all addresses of the link are in use, or after a second.
void await_addresses(Netlink& netlink, std::uint32_t link);

}  // namespace culvert
