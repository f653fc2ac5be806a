// Host names of endpoints, looked up without holding up packets.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "culvert/base/endpoint.hpp"
#include "culvert/netns/network_namespace.hpp"

namespace culvert {

/// What a host name stands for.
struct FoundEndpoints {
  std::vector<Endpoint> endpoints;   ///< each once, in the resolver's order of preference; empty: see `error`
  std::chrono::seconds lifetime{0};  ///< of the answer, from lookup_lifetime_min to lookup_lifetime_max
  std::string error;
};

/// Shorter lifetimes are taken for this: an address can be tried no more often than each five seconds.
inline constexpr std::chrono::seconds lookup_lifetime_min{10};
/// Longer ones for this, as resolvers do: nobody waits a week for a mistake in a zone to go away.
inline constexpr std::chrono::seconds lookup_lifetime_max = std::chrono::hours(24);
/// Of an answer that does not tell.
inline constexpr std::chrono::seconds lookup_lifetime_unknown{300};

/// Asks the system's resolver on a thread of its own, in the network namespace of the tunnel's socket: an answer takes
/// as long as it likes. Lookups run one after the other. Destruction waits for nothing; answers that come later are
/// lost.
///
/// Names are looked up in /etc/hosts and at the servers of /etc/resolv.conf (c-ares, which tells lifetimes), then by
/// getaddrinfo(), which knows whatever else nsswitch.conf(5) has. Servers are asked past the tunnel first, and when
/// those of now do not answer, so are those that there were when this object was made: a tunnel that is dead may be the
/// only way to the servers it brought.
class EndpointLookup {
 public:
  using Answer = std::function<void(FoundEndpoints)>;

  /// `io` runs the answers and outlives this object. Throws std::system_error.
  EndpointLookup(boost::asio::io_context& io, const NetworkNamespace& there);
  ~EndpointLookup();
  EndpointLookup(const EndpointLookup&) = delete;
  EndpointLookup& operator=(const EndpointLookup&) = delete;

  /// `mark`: of the tunnel's own datagrams; 0: none.
  void look_up(std::string host, std::uint16_t port, std::uint32_t mark, Answer answer);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace culvert
