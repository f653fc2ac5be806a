// A host name asked of the system's resolvers.
#pragma once

#include <cstdint>
#include <string>

#include "culvert/runtime/endpoint_lookup.hpp"

namespace culvert {

/// Blocks until there is an answer or none can be expected. Asks in the network namespace of the calling thread.
[[nodiscard]] FoundEndpoints resolve(const std::string& host, std::uint16_t port);

}  // namespace culvert
