// Endpoints as the kernel writes them.
#pragma once

#include <sys/socket.h>

#include <optional>

#include "culvert/base/endpoint.hpp"

namespace culvert {

/// Fills `out` with `endpoint` and returns how many of its bytes count.
socklen_t to_socket_address(const Endpoint& endpoint, sockaddr_storage& out) noexcept;

/// The endpoint in the first `length` bytes of `from`; nothing if they hold no whole IPv4 or IPv6 address.
std::optional<Endpoint> from_socket_address(const sockaddr_storage& from, socklen_t length) noexcept;

}  // namespace culvert
