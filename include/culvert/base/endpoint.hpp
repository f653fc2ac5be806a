// Where a peer is on the network, and how we reach it.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culvert/base/address.hpp"

namespace culvert {

/// An IP address with a UDP port.
struct Endpoint {
  Address address;
  std::uint16_t port = 0;
  std::uint32_t scope_id = 0;  ///< interface index for IPv6 link-local addresses, else 0

  /// From "192.0.2.1:51820" or "[2001:db8::1]:51820", with "%NUMBER" before the bracket for a scope
  /// (link-local addresses only). Refuses names, and IPv4 addresses written as IPv6 (::ffff:0:0/96).
  static std::optional<Endpoint> parse(std::string_view text) noexcept;
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// A remote endpoint together with the local address and interface its packets arrive at, so that answers leave the way
/// the questions came ("sticky" source; Linux IP_PKTINFO). `local` unset: the kernel's routing chooses.
struct Path {
  Endpoint remote;
  std::optional<Address> local;
  std::uint32_t interface_index = 0;

  friend auto operator<=>(const Path&, const Path&) = default;
};

}  // namespace culvert
