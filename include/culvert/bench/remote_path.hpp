// A measured path whose far end is at a peer, behind a tunnel.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "culvert/base/endpoint.hpp"
#include "culvert/bench/load_sockets.hpp"
#include "culvert/bench/trial.hpp"
#include "culvert/crypto/keys.hpp"
#include "culvert/netns/network_namespace.hpp"

namespace culvert {

class FarEnd;

/// Load goes no faster than the peer allows: trials that ask for more have it cut, and a UDP trial counts what it did
/// not send for that as lost. The peer enforces it, too.
class RemotePath : public MeasuredPath {
 public:
  /// Connects in namespace `space`, from a socket bound to `device` unless that is empty, to where the peer granted it,
  /// and gives it the token. `rate_limit`: bits a second in each direction; 0: any. Throws std::system_error or
  /// std::runtime_error.
  RemotePath(NetworkNamespace space, std::string device, const Endpoint& far_end, const BenchToken& token,
             std::uint64_t rate_limit);
  ~RemotePath() override;

  TcpOutcome run(const TcpTrial& trial) override;
  UdpOutcome run(const UdpTrial& trial) override;
  RoundTripOutcome run(const RoundTripTrial& trial) override;

 private:
  class Load;
  template <class Make>
  auto made_here(const Make& make) const;
  [[nodiscard]] UdpTrial within_limit(UdpTrial trial) const;

  NetworkNamespace space_;
  LoadAddress here_;
  Address there_;
  std::uint64_t rate_limit_;
  std::unique_ptr<FarEnd> far_;
};

}  // namespace culvert
