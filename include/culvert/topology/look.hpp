// Looking at the namespaces of this machine.
#pragma once

#include "culvert/topology/topology.hpp"

namespace culvert::topology {

/// All namespaces that this user can see from here, with their links, joined: the calling thread's own, those under
/// /run/netns, those bound to other files, those of processes, and those that processes have open, or a device or
/// socket of a tunnel in. The calling thread visits them and is back when this returns; there may be no other. What
/// vanishes meanwhile is left out; what cannot be looked at says so. Throws only if not even the own namespace can be
/// looked at.
[[nodiscard]] Topology look();

}  // namespace culvert::topology
