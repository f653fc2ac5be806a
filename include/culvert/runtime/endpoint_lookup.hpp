// Host names of endpoints, looked up without holding up packets.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "culvert/base/endpoint.hpp"
#include "culvert/netns/network_namespace.hpp"

namespace culvert {

/// Asks the system's resolver on a thread of its own, in the network namespace of the tunnel's socket: getaddrinfo()
/// blocks for as long as it likes. Lookups run one after the other. Destruction waits for nothing; answers that come
/// later are lost.
class EndpointLookup {
 public:
  /// Addresses in the resolver's order of preference; empty with a message when there are none.
  using Answer = std::function<void(std::vector<Endpoint> endpoints, std::string error)>;

  /// `io` runs the answers and outlives this object. Throws std::system_error.
  EndpointLookup(boost::asio::io_context& io, const NetworkNamespace& there);
  ~EndpointLookup();
  EndpointLookup(const EndpointLookup&) = delete;
  EndpointLookup& operator=(const EndpointLookup&) = delete;

  void look_up(std::string host, std::uint16_t port, Answer answer);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace culvert
