// Two hosts with a cable between them, in namespaces without names, and tunnels over it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culvert/bench/engine_process.hpp"
#include "culvert/bench/result.hpp"
#include "culvert/bench/trial.hpp"
#include "culvert/netns/network_namespace.hpp"
#include "culvert/netns/veth_pair.hpp"

namespace culvert {

/// How the tunnel's two ends are set up for some cells.
struct Arrangement {
  BenchMode mode = BenchMode::Tun;
  CipherSuite cipher = CipherSuite::ChaCha20Poly1305;  ///< of no consequence on the uplink, as is the rest but the MTU
  OffloadRung offloads = OffloadRung::On;
  unsigned queues = 1;
  std::uint32_t mtu = 1420;  ///< of the devices
  friend auto operator<=>(const Arrangement&, const Arrangement&) = default;
};

/// A tunnel of the lab, or its bare cable. Ends with this object. Move-only.
class BenchTunnel {
 public:
  BenchTunnel(std::unique_ptr<MeasuredPath> path, std::vector<EngineProcess> engines,
              std::vector<NetworkNamespace> hosts)
      : hosts_(std::move(hosts)), engines_(std::move(engines)), path_(std::move(path)) {}

  [[nodiscard]] MeasuredPath& path() noexcept { return *path_; }
  [[nodiscard]] std::vector<EngineProcess>& engines() noexcept { return engines_; }
  /// Of both engines together; throws std::runtime_error when one has ended.
  [[nodiscard]] EngineCost cost();

 private:
  std::vector<NetworkNamespace> hosts_;  ///< with the devices, and behind these
  std::vector<EngineProcess> engines_;
  std::unique_ptr<MeasuredPath> path_;
};

/// Whatever it makes goes with it, and with the calling process. For a process with one thread that owns its mount
/// namespace and, by CAP_SYS_ADMIN, the user namespace it is in.
class BenchLab {
 public:
  /// The largest packets that the cable carries.
  static constexpr std::uint32_t uplink_mtu = 9000;

  /// Throws std::system_error that says what could not be made.
  BenchLab();

  /// Returns when a packet has gone there and back. Throws std::exception with what kept the tunnel from that.
  [[nodiscard]] BenchTunnel open(const Arrangement& arrangement);

 private:
  NetworkNamespace near_, far_;
  VethPair uplink_;
  std::string state_;
};

}  // namespace culvert
