// Asking who holds a tun or tap device which tunnel it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/topology/topology.hpp"

namespace culvert::topology {

/// From what a WireGuard answers to get=1, at `now` (seconds since 1970). No secret of it is kept.
[[nodiscard]] Tunnel tunnel_from(std::string_view answer, std::uint64_t now);
/// Of process `pid` and a device of this name; nothing if it serves no control socket of that name. Throws what went
/// wrong with one that does.
[[nodiscard]] std::optional<Tunnel> ask_for_tunnel(int pid, const std::string& device);

/// A tunnel of one of the caller's commands (`culvert exec`).
struct TunnelOfCommand {
  int pid = 0;             ///< of the process that carries its packets, which even its user may not look into
  std::string device;      ///< as it is called there
  std::uint64_t home = 0;  ///< the inode of the command's namespace
  Tunnel tunnel;
};
/// Whichever of them answer.
[[nodiscard]] std::vector<TunnelOfCommand> own_tunnels_of_commands();

}  // namespace culvert::topology
