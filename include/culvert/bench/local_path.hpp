// A measured path of which both ends are in this process.
#pragma once

#include <cstdint>

#include "culvert/bench/load_sockets.hpp"
#include "culvert/bench/trial.hpp"
#include "culvert/netns/network_namespace.hpp"

namespace culvert {

struct LocalEnd {
  const NetworkNamespace& space;  ///< outlives the path
  LoadAddress at;
};

/// Sockets are made on the calling thread, which enters the namespaces for that; load is sent and received on threads
/// that are joined when run() returns or throws.
class LocalPath : public MeasuredPath {
 public:
  LocalPath(const LocalEnd& near_end, const LocalEnd& far_end) : near_(near_end), far_(far_end) {}

  TcpOutcome run(const TcpTrial& trial) override;
  UdpOutcome run(const UdpTrial& trial) override;
  RoundTripOutcome run(const RoundTripTrial& trial) override;

 private:
  LocalEnd near_, far_;
};

}  // namespace culvert
