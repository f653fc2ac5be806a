// Links, addresses and routes over rtnetlink (libnl-route-3).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "culvert/base/address.hpp"
#include "culvert/base/mac_address.hpp"
#include "culvert/base/result.hpp"
#include "culvert/io/interface_facts.hpp"
#include "culvert/io/network_object.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// What the kernel says about a network interface.
struct Link {
  std::uint32_t index = 0;
  std::string name;
  std::uint32_t mtu = 0;
  bool is_up = false;       ///< administratively
  bool is_running = false;  ///< takes packets: up, with carrier, and the kernel has got round to it
};

/// What decides whether a link may join a bridge, and how.
struct LinkDetails {
  LinkName name;
  std::uint32_t mtu = 0;
  bool is_up = false;  ///< administratively
  bool is_loopback = false;
  bool carries_ethernet = false;
  std::string kind;          ///< as `ip -d link` says: "bridge", "tun", "veth"; empty for hardware
  std::uint32_t master = 0;  ///< the bridge, bond or team that has it; 0: none
  std::uint32_t parent = 0;  ///< what a macvlan or VLAN link is made of, in the same namespace; 0: none
  MacAddress mac;            ///< all zero unless it carries Ethernet
};

/// How a bridge is made.
struct BridgeSettings {
  std::string name;
  std::uint32_t mtu = 1500;
  bool has_stp = false;           ///< with it each port waits for half a minute before it forwards; without, not at all
  std::optional<MacAddress> mac;  ///< left out: one at random
  std::uint32_t group = 0;
};

/// What to do when a NetworkObject would take the place of another.
enum class AddMode : std::uint8_t {
  Exclusive,  ///< EEXIST
  Replace,
};

/// A route through a device.
struct Route {
  Prefix destination;
  std::uint32_t table = 254;  ///< RT_TABLE_MAIN
  friend auto operator<=>(const Route&, const Route&) = default;
};

/// A route and all interfaces it may lead through; none for one that leads nowhere.
struct RouteHops {
  Prefix destination;
  std::uint32_t table = 0;
  std::vector<std::uint32_t> interfaces;
};

/// A rule that sends lookups to a routing table, or ends them, as `ip rule add [not fwmark MARK] pref PRIORITY` with
/// `table TABLE [suppress_prefixlength LENGTH]` or `unreachable` makes it.
struct RoutingRule {
  Family family = Family::V4;
  std::uint32_t priority = 0;                           ///< lower ones are asked first
  std::uint32_t table = 0;                              ///< 0: none, what comes here is unreachable
  std::optional<std::uint32_t> unless_mark;             ///< not for packets with this mark
  std::optional<std::uint32_t> suppress_prefix_length;  ///< routes of this length or shorter do not count
  friend bool operator==(const RoutingRule&, const RoutingRule&) = default;
};

/// A netlink socket in the network namespace in which it was made. Calls throw std::system_error that name the device
/// and the object. Not thread-safe.
class Netlink {
 public:
  Netlink();
  /// On a socket (NETLINK_ROUTE, bound) that was made elsewhere: it stays in the namespace in which that was.
  explicit Netlink(UniqueFd socket);
  ~Netlink();
  Netlink(Netlink&&) noexcept;
  Netlink& operator=(Netlink&&) noexcept;

  [[nodiscard]] std::optional<Link> find_link(const std::string& name);
  [[nodiscard]] std::vector<Link> links();
  void set_mtu(std::uint32_t index, std::uint32_t mtu);
  void set_up(std::uint32_t index, bool up);
  void set_group(std::uint32_t index, std::uint32_t group);
  /// `prefix` keeps its host bits: they are the address. Already there is an error (EEXIST).
  void add_address(std::uint32_t index, const Prefix& prefix);
  void remove_address(std::uint32_t index, const Prefix& prefix);
  void add_route(std::uint32_t index, const Route& route);
  void remove_route(std::uint32_t index, const Route& route);
  /// What no other route takes goes through `gateway`, an address on the interface's link.
  void add_default_route(std::uint32_t index, const Address& gateway);
  /// Addresses of the interface, each with its prefix length.
  [[nodiscard]] std::vector<Prefix> addresses(std::uint32_t index);
  /// Of all interfaces, with the interface's number; in the kernel's order.
  [[nodiscard]] std::vector<std::pair<std::uint32_t, Prefix>> all_addresses();
  /// Routes whose (only) device is the interface, of all tables but local.
  [[nodiscard]] std::vector<Route> routes(std::uint32_t index);

  /// All routes of all tables, of either family.
  [[nodiscard]] std::vector<RouteHops> all_routes();

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

  [[nodiscard]] std::vector<LinkDetails> link_details();
  void add_bridge(const BridgeSettings& settings);
  void remove_link(std::uint32_t index);
  /// Makes `index` a port of bridge `master`; 0: of none.
  void set_master(std::uint32_t index, std::uint32_t master);
  /// The MAC address of a bridge stays this one, and its MTU what it is now, whatever ports come and go.
  void pin_bridge(std::uint32_t index, MacAddress mac);
  /// Sets the same MAC address once more, on which the kernel tells neighbours about the link's addresses if
  /// arp_notify and ndisc_notify are on.
  void set_mac(std::uint32_t index, MacAddress mac);

  [[nodiscard]] std::vector<InterfaceFacts> interfaces();
  [[nodiscard]] std::optional<InterfaceFacts> find_interface(const std::string& name);
  /// Of all bridges.
  [[nodiscard]] std::vector<BridgePort> bridge_ports();
  void add_veth(const VethSettings& settings);
  /// To an open network namespace, with another name there unless `name` is empty. It is down there, without addresses.
  void move_link(std::uint32_t index, int network_namespace, const std::string& name = {});
  /// The number by which this namespace knows an open one; nothing if it has none (NETNSA_NSID in
  /// linux/net_namespace.h).
  [[nodiscard]] std::optional<std::int32_t> namespace_number(int network_namespace);
  [[nodiscard]] std::vector<std::int32_t> namespace_numbers();
  /// Nothing: any that is free. EEXIST when it has one, or another has that.
  void set_namespace_number(int network_namespace, std::optional<std::int32_t> number);
  /// The name of an interface in the namespace with this number; nothing if there is none, or it is not to be seen.
  [[nodiscard]] std::optional<std::string> name_of_link_in(std::int32_t network_namespace, std::uint32_t index);

  /// Addresses, permanent neighbours, rules and routes of all tables that have to do with a link, each kind in the
  /// order in which add() makes the kernel list them the same way again. Without what the kernel makes of itself.
  [[nodiscard]] std::vector<NetworkObject> objects_at(const LinkName& link);
  void add(const NetworkObject& object, AddMode mode);
  /// False if there was none like this in all its parts.
  bool remove(const NetworkObject& object);
  /// Tells `to` which neighbours have answered on `from`, which has the same ones: nobody has to be asked anew.
  void share_neighbours(std::uint32_t from, std::uint32_t to);
  /// Whether an IPv6 address of the link waits for duplicate address detection or for its local route.
  [[nodiscard]] bool has_tentative_address(std::uint32_t index);
  /// Lets the kernel ask (ARP, neighbour discovery) for who has `address` on the link, also if it knows him.
  void ask_neighbour(std::uint32_t index, const Address& address);
  void forget_neighbour(std::uint32_t index, const Address& address);
  /// Whether he has answered within the time that the kernel believes in an answer.
  [[nodiscard]] bool has_answered(std::uint32_t index, const Address& address);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace culvert
