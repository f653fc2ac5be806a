// Sockets that load is sent and received on, made in the calling thread's network namespace.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "culvert/base/address.hpp"
#include "culvert/base/endpoint.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// Where the sockets of one end are.
struct LoadAddress {
  Address address;
  std::string device;  ///< whose packets alone they send and receive (SO_BINDTODEVICE); empty: any
};

// All are blocking sockets that wait no longer than load_wait for anything, so that who uses them sees a wish to stop;
// all throw std::system_error that says what could not be done at which address.

inline constexpr std::chrono::milliseconds load_wait{4};

/// On a port that the kernel chooses, with as large a buffer as it gives.
[[nodiscard]] UniqueFd make_udp_sink(const LoadAddress& here);
/// One for each flow, each on a port of its own, connected to the sink; what they send is never fragmented.
[[nodiscard]] std::vector<UniqueFd> make_udp_senders(const LoadAddress& here, const Endpoint& sink, unsigned flows);

/// On a port that the kernel chooses.
[[nodiscard]] UniqueFd make_tcp_listener(const LoadAddress& here);
/// Throws with ETIMEDOUT when there is no connection within `patience`. What a connection has not delivered when it is
/// closed is forgotten at once, at both ends, rather than in the way of the next trial.
[[nodiscard]] UniqueFd connect_tcp(const LoadAddress& here, const Endpoint& listener,
                                   std::chrono::milliseconds patience);
/// The next connection from this address; others are closed.
[[nodiscard]] UniqueFd accept_tcp(int listener, const Address& from, std::chrono::milliseconds patience);

/// Of a bound socket.
[[nodiscard]] Endpoint local_endpoint(int socket);

}  // namespace culvert
