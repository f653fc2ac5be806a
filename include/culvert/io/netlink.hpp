// Links, addresses and routes over rtnetlink (libnl-route-3).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culvert/base/address.hpp"
#include "culvert/base/result.hpp"

namespace culvert {

/// What the kernel says about a network interface.
struct Link {
  std::uint32_t index = 0;
  std::string name;
  std::uint32_t mtu = 0;
  bool is_up = false;  ///< administratively
};

/// A route through a device.
struct Route {
  Prefix destination;
  std::uint32_t table = 254;  ///< RT_TABLE_MAIN
  friend auto operator<=>(const Route&, const Route&) = default;
};

/// A rule that sends lookups to a routing table, as `ip rule add [not fwmark MARK] table TABLE pref PRIORITY
/// [suppress_prefixlength LENGTH]` makes it.
struct RoutingRule {
  Family family = Family::V4;
  std::uint32_t priority = 0;  ///< lower ones are asked first
  std::uint32_t table = 0;
  std::optional<std::uint32_t> unless_mark;             ///< not for packets with this mark
  std::optional<std::uint32_t> suppress_prefix_length;  ///< routes of this length or shorter do not count
  friend bool operator==(const RoutingRule&, const RoutingRule&) = default;
};

/// A netlink socket in the network namespace in which it was made. Calls throw std::system_error that name the device
/// and the object. Not thread-safe.
class Netlink {
 public:
  Netlink();
  ~Netlink();
  Netlink(Netlink&&) noexcept;
  Netlink& operator=(Netlink&&) noexcept;

  [[nodiscard]] std::optional<Link> find_link(const std::string& name);
  [[nodiscard]] std::vector<Link> links();
  void set_mtu(std::uint32_t index, std::uint32_t mtu);
  void set_up(std::uint32_t index, bool up);
  /// `prefix` keeps its host bits: they are the address. Already there is an error (EEXIST).
  void add_address(std::uint32_t index, const Prefix& prefix);
  void remove_address(std::uint32_t index, const Prefix& prefix);
  void add_route(std::uint32_t index, const Route& route);
  void remove_route(std::uint32_t index, const Route& route);
  /// Addresses of the interface, each with its prefix length.
  [[nodiscard]] std::vector<Prefix> addresses(std::uint32_t index);
  /// Routes whose (only) device is the interface, of all tables but local.
  [[nodiscard]] std::vector<Route> routes(std::uint32_t index);

  /// One more, also when there is one like it.
  void add_rule(const RoutingRule& rule);
  /// The first that is like this one.
  void remove_rule(const RoutingRule& rule);
  /// All of a family, as far as RoutingRule can describe them, in the order in which they are asked. Empty when the
  /// system does not have the family.
  [[nodiscard]] std::vector<RoutingRule> rules(Family family);
  /// Numbers of all tables that have a route, of either family, each once.
  [[nodiscard]] std::vector<std::uint32_t> tables_in_use();
  /// What fits through the first link on the way to `destination`, for packets with `mark`; nothing without a way.
  [[nodiscard]] std::optional<std::uint32_t> mtu_towards(const Address& destination, std::uint32_t mark = 0);
  /// The interface by which a packet with `mark` from `source` to `destination` leaves; nothing without a way, or when
  /// `source` is no address of this host.
  [[nodiscard]] std::optional<std::uint32_t> interface_towards(const Address& destination, const Address& source,
                                                               std::uint32_t mark = 0);
  /// What fits through the preferred default route of the main table, of IPv4 or else IPv6.
  [[nodiscard]] std::optional<std::uint32_t> mtu_of_default_route();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace culvert
