// Names and addresses of the two ends of a sandbox's link.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "culvert/base/address.hpp"

namespace culvert {

/// What the link is called inside.
inline constexpr const char* inner_link_name = "eth0";
/// How many sandboxes of one network namespace can have a link by default.
inline constexpr unsigned sandboxes_max = 16384;

/// How the end outside is called: "sandbox" and a number below sandboxes_max.
[[nodiscard]] std::string outer_link_name(unsigned number);

/// Addresses of both ends, each with the length of the network they share. Either may be empty.
struct EndAddresses {
  std::vector<Prefix> inside;
  std::vector<Prefix> outside;
  friend bool operator==(const EndAddresses&, const EndAddresses&) = default;
};

/// A network for each number: four addresses of 10.213.0.0/16, and a /64 of fd63:756c:7665::/48 (RFC 4193).
[[nodiscard]] EndAddresses default_addresses(unsigned number);
/// The first address of a host in the network of `inside` that is another one; nothing in a network of one address.
[[nodiscard]] std::optional<Prefix> other_end_of(const Prefix& inside);
/// Whether one network holds the other.
[[nodiscard]] bool overlap(const Prefix& one, const Prefix& other);

}  // namespace culvert
