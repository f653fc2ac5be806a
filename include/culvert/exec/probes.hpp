// Packets that must not be seen outside, and where they are sent to.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "culvert/base/address.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/netns/network_namespace.hpp"

namespace culvert {

/// Addresses a leak could lead to: within AllowedIPs and without, in every network that `outside` has a route to
/// (whoever put the route there), neighbours on its links, their own and their broadcast addresses, multicast.
[[nodiscard]] std::vector<Address> addresses_to_probe(const Config& config, const NetworkNamespace& outside);

/// Sends UDP datagrams (to port 9, discard) with `marker` as payload from the calling thread's namespace to each
/// address, by routing and once more by each link. Returns how many the kernel took. What cannot be sent did not leak.
std::size_t send_probes(const std::string& marker, const std::vector<Address>& addresses);

}  // namespace culvert
