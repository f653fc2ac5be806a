// The links of a namespace as a tree: ports below their bridge, VLANs and macvlans below what they are made on.
#pragma once

#include <vector>

#include "culvert/topology/topology.hpp"

namespace culvert::topology {

struct Branch {
  const Link* link = nullptr;
  std::vector<Branch> below;
};

/// Each link of `space`, which outlives the result, exactly once; by index on each level.
[[nodiscard]] std::vector<Branch> branches_of(const Topology& topology, std::size_t space);

}  // namespace culvert::topology
