// Conversion between Endpoint and sockaddr.
#include "culvert/io/socket_address.hpp"

#include <netinet/in.h>

#include <cstring>

namespace culvert {

socklen_t to_socket_address(const Endpoint& endpoint, sockaddr_storage& out) noexcept {
  const ByteView address = endpoint.address.bytes();
  if (endpoint.address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    std::memcpy(&v4.sin_addr, address.data(), sizeof v4.sin_addr);
    std::memcpy(&out, &v4, sizeof v4);
    return sizeof v4;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(endpoint.port);
  v6.sin6_scope_id = endpoint.scope_id;
  std::memcpy(&v6.sin6_addr, address.data(), sizeof v6.sin6_addr);
  std::memcpy(&out, &v6, sizeof v6);
  return sizeof v6;
}

std::optional<Endpoint> from_socket_address(const sockaddr_storage& from, socklen_t length) noexcept {
  if (length >= sizeof(sockaddr_in) && from.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &from, sizeof v4);
    return Endpoint{Address::from_bytes(Family::V4, std::as_bytes(std::span(&v4.sin_addr, 1))), ntohs(v4.sin_port), 0};
  }
  if (length >= sizeof(sockaddr_in6) && from.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &from, sizeof v6);
    return Endpoint{Address::from_bytes(Family::V6, std::as_bytes(std::span(&v6.sin6_addr, 1))), ntohs(v6.sin6_port),
                    v6.sin6_scope_id};
  }
  return std::nullopt;
}

}  // namespace culvert
