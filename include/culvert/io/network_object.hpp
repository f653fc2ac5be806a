// Addresses, neighbours, rules and routes just as the kernel tells them, so that they can be made again elsewhere.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/base/address.hpp"

namespace culvert {

/// An interface by number, which stays, and by name, which rules use.
struct LinkName {
  std::uint32_t index = 0;
  std::string name;
  friend bool operator==(const LinkName&, const LinkName&) = default;
};

/// What rtnetlink says about one object: the header of its kind and all attributes, without those that tell a state
/// rather than a wish. A wish that this program does not know of is kept, too.
struct NetworkObject {
  enum class Kind : std::uint8_t { Address, Neighbour, Rule, Route };
  struct Attribute {
    std::uint16_t type = 0;
    std::vector<std::byte> value;
    friend bool operator==(const Attribute&, const Attribute&) = default;
  };
  Kind kind = Kind::Address;
  std::vector<std::byte> header;
  std::vector<Attribute> attributes;
  friend bool operator==(const NetworkObject&, const NetworkObject&) = default;
};

/// The same at another link; what is not at `from` is not changed.
[[nodiscard]] NetworkObject moved(NetworkObject object, const LinkName& from, const LinkName& to);
/// With lifetimes that are shorter by `elapsed`; nothing when one has ended.
[[nodiscard]] std::optional<NetworkObject> aged(NetworkObject object, std::chrono::seconds elapsed);
/// An IPv6 address that is used without duplicate address detection; anything else as it is.
[[nodiscard]] NetworkObject without_detection(NetworkObject object);
/// Whether there can be only one of the two in one table or at one link, wherever they are and whatever else they say.
[[nodiscard]] bool is_same(const NetworkObject& one, const NetworkObject& other);
/// Whether the kernel made this route on its own account, and will again at another link that gets `addresses`: one in
/// the local table, or to the network of an address that does not say noprefixroute.
[[nodiscard]] bool is_made_by_kernel(const NetworkObject& route, const std::vector<NetworkObject>& addresses);
/// A route of whose nexthops the kernel keeps objects of their own (`ip nexthop`).
[[nodiscard]] bool has_nexthop_object(const NetworkObject& object);
/// An address that is not of its link alone (fe80::/10).
[[nodiscard]] bool is_global_address(const NetworkObject& object);
/// When an address that somebody leased ends; nothing for one that stays.
[[nodiscard]] std::optional<std::chrono::seconds> lifetime_of(const NetworkObject& object);
/// The gateways of a route at a link.
[[nodiscard]] std::vector<Address> gateways_at(const NetworkObject& object, std::uint32_t link);
/// For people: "address 10.0.0.1/24", "route 10.0.0.0/8".
[[nodiscard]] std::string describe(const NetworkObject& object);

/// One line without its end, and back; nothing for a line that is none of ours.
[[nodiscard]] std::string to_line(const NetworkObject& object);
[[nodiscard]] std::optional<NetworkObject> network_object_from_line(std::string_view line);

}  // namespace culvert
