// The other end of a veth, wherever it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "culvert/netns/interface.hpp"
#include "culvert/netns/known_namespaces.hpp"

namespace culvert {

struct VethPeer {
  std::uint32_t index = 0;  ///< in its own namespace
  std::string name;         ///< empty: not to be seen from here
  bool is_here = false;     ///< in the same namespace
  /// How the namespace that was asked numbers the other one; nothing where it is the same, or has no number.
  std::optional<std::int32_t> namespace_number;
  std::optional<KnownNamespace> home;  ///< nothing: neither named, nor pinned, nor of a process that is seen from here
};

/// Of the interface `name` in `space`. Throws std::system_error that names both when there is no such interface
/// (ENODEV), and std::invalid_argument for one that is no end of a pair.
[[nodiscard]] VethPeer peer_of(const NetworkNamespace& space, const std::string& name);

}  // namespace culvert
