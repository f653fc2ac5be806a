// Packet filter rules around a default route into a tunnel, in a table of the tunnel's own.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "culvert/base/address.hpp"

namespace culvert {

/// Makes a table that drops what comes to the tunnel's addresses from elsewhere, and lets answers to the tunnel's own
/// datagrams keep the mark these left with; it takes the place of one that is there. Atomically, in the calling
/// thread's network namespace. Throws std::runtime_error.
void add_firewall(Family family, const std::string& device, std::span<const Prefix> addresses, std::uint32_t mark);
/// Nothing happens if there is none.
void remove_firewall(Family family, const std::string& device);

/// The commands of nft(8) for it.
[[nodiscard]] std::string firewall_commands(Family family, const std::string& device, std::span<const Prefix> addresses,
                                            std::uint32_t mark);

}  // namespace culvert
