// What may pass between a sandbox's link and the networks of its host.
#pragma once

#include <span>
#include <string>

#include "culvert/base/address.hpp"

namespace culvert {

/// "inet culvert-LINK".
[[nodiscard]] std::string forwarding_table_of(const std::string& outer_link);
/// Commands of nft(8) that make a table after which nothing is forwarded from or to the link, whatever the settings of
/// the host. It takes the place of one that is there.
[[nodiscard]] std::string closing_commands(const std::string& outer_link);
/// The same for masquerading (RFC 3022): whatever comes from the sandbox's own addresses goes out in the name of the
/// host, other senders' packets are dropped, and only answers come in.
[[nodiscard]] std::string masquerading_commands(const std::string& outer_link, std::span<const Prefix> inside);

}  // namespace culvert
