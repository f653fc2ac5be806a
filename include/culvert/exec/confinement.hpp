// Looking at a network namespace from inside: whether there is any way out but the tunnel.
#pragma once

#include <string>
#include <vector>

#include "culvert/netns/network_namespace.hpp"

namespace culvert {

/// What is wrong in the calling thread's namespaces, a line each: links beside "lo" and `device`, routes of any table
/// that lead elsewhere, a resolv.conf that does not read as `resolv_conf`, resolvers' sockets that answer, or the
/// namespace is `outside`. Empty: nothing. Throws std::system_error when it cannot be told.
[[nodiscard]] std::vector<std::string> find_ways_out(const std::string& device, const std::string& resolv_conf,
                                                     const NamespaceIdentity& outside);

}  // namespace culvert
