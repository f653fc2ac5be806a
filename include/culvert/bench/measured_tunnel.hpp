// What a benchmark measures: a tunnel between two ends, or the bare cable below it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "culvert/bench/engine_cost.hpp"
#include "culvert/bench/result.hpp"
#include "culvert/bench/trial.hpp"
#include "culvert/crypto/cipher_suite.hpp"

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

class MeasuredTunnel {
 public:
  virtual ~MeasuredTunnel() = default;
  /// Lives as long as this object.
  virtual MeasuredPath& path() = 0;
  /// Of the ends that this process can ask; nothing where there is none. Throws std::runtime_error when one has ended.
  virtual std::optional<EngineCost> cost() = 0;
  /// Those that a TimeProfile can look at.
  [[nodiscard]] virtual std::vector<pid_t> processes() const { return {}; }
  [[nodiscard]] virtual std::optional<EnginePaths> paths() const { return std::nullopt; }
};

/// Returns when packets have gone there and back. Throws std::exception with what kept the tunnel from that.
using OpenTunnel = std::function<std::unique_ptr<MeasuredTunnel>(const Arrangement&)>;

}  // namespace culvert
