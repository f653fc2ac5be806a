// A host name asked of the system's resolvers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "culvert/base/address.hpp"
#include "culvert/runtime/endpoint_lookup.hpp"

namespace culvert {

/// How name servers are reached when the tunnel whose peer is looked for may lead nowhere.
struct LookupPath {
  std::uint32_t mark = 0;               ///< of the tunnel's own datagrams, which keeps them out of the tunnel; 0: none
  std::vector<Address> former_servers;  ///< those of before the tunnel was up, asked when the present ones do not answer
};

/// The servers of resolv.conf(5) at present.
[[nodiscard]] std::vector<Address> name_servers();

/// Blocks until there is an answer or none can be expected. Asks in the network namespace of the calling thread, with
/// and without the mark.
[[nodiscard]] FoundEndpoints resolve(const std::string& host, std::uint16_t port, const LookupPath& path);

}  // namespace culvert
