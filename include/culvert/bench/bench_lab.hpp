// Two hosts with a cable between them, in namespaces without names, and tunnels over it.
#pragma once

#include <cstdint>
#include <memory>

#include "culvert/bench/measured_tunnel.hpp"
#include "culvert/netns/network_namespace.hpp"
#include "culvert/netns/veth_pair.hpp"

namespace culvert {

/// Whatever it makes goes with it, and with the calling process. For a process with one thread that owns its mount
/// namespace and, by CAP_SYS_ADMIN, the user namespace it is in.
class BenchLab {
 public:
  /// The largest packets that the cable carries.
  static constexpr std::uint32_t uplink_mtu = 9000;

  /// Throws std::system_error that says what could not be made.
  BenchLab();

  /// A tunnel of the lab, or its bare cable, which outlives neither the lab nor others: one at a time. As OpenTunnel.
  [[nodiscard]] std::unique_ptr<MeasuredTunnel> open(const Arrangement& arrangement);

 private:
  /// Folders that what is made here writes to are memory of this process alone.
  struct Folders {
    Folders();
  };
  Folders folders_;
  NetworkNamespace near_, far_;
  VethPair uplink_;
};

}  // namespace culvert
