// Asking for and changing links, addresses and routes.
#include "culvert/io/netlink.hpp"

#include <net/if.h>

#include "netlink_state.hpp"

namespace culvert {

namespace {

constexpr std::uint32_t local_table = RT_TABLE_LOCAL;

nl::AbstractAddress to_nl(const Prefix& prefix) {
  const ByteView bytes = prefix.address.bytes();
  auto address =
      require(nl::AbstractAddress(nl_addr_build(address_family(prefix.address.family()), bytes.data(), bytes.size())));
  nl_addr_set_prefixlen(address.get(), prefix.length);
  return address;
}

// The kernel leaves out the address of a prefix of length 0.
Prefix from_nl(nl_addr* address, int family, int length) {
  std::array<std::byte, 16> bytes{};
  if (address != nullptr) {
    const auto size = std::min<std::size_t>(nl_addr_get_len(address), bytes.size());
    copy_bytes(std::as_bytes(std::span(static_cast<const char*>(nl_addr_get_binary_addr(address)), size)), bytes);
  }
  return {Address::from_bytes(family == AF_INET ? Family::V4 : Family::V6, bytes), static_cast<std::uint8_t>(length)};
}

Link from_nl(rtnl_link* link) {
  const char* const name = rtnl_link_get_name(link);
  return {static_cast<std::uint32_t>(rtnl_link_get_ifindex(link)), name == nullptr ? "" : name, rtnl_link_get_mtu(link),
          (rtnl_link_get_flags(link) & IFF_UP) != 0, (rtnl_link_get_flags(link) & IFF_RUNNING) != 0};
}

nl::InterfaceAddress make_address(std::uint32_t index, const Prefix& prefix) {
  auto address = require(nl::InterfaceAddress(rtnl_addr_alloc()));
  rtnl_addr_set_ifindex(address.get(), static_cast<int>(index));
  rtnl_addr_set_family(address.get(), address_family(prefix.address.family()));
  rtnl_addr_set_local(address.get(), to_nl(prefix).get());
  return address;
}

nl::Route make_route(std::uint32_t index, const Route& wanted) {
  auto route = require(nl::Route(rtnl_route_alloc()));
  rtnl_route_set_family(route.get(), static_cast<std::uint8_t>(address_family(wanted.destination.address.family())));
  // The kernel refuses a destination with host bits.
  rtnl_route_set_dst(route.get(), to_nl(wanted.destination.masked()).get());
  rtnl_route_set_table(route.get(), wanted.table);
  rtnl_route_set_type(route.get(), RTN_UNICAST);
  rtnl_nexthop* const hop = require(rtnl_route_nh_alloc());
  rtnl_route_nh_set_ifindex(hop, static_cast<int>(index));
  rtnl_route_add_nexthop(route.get(), hop);
  return route;
}

std::string describe(const Route& route) {
  return "route " + route.destination.masked().to_string() + " in table " + std::to_string(route.table);
}

template <class Visit>
void for_each(nl_cache* cache, Visit visit) {
  for (nl_object* object = nl_cache_get_first(cache); object != nullptr; object = nl_cache_get_next(object)) {
    visit(object);
  }
}

// libnl's own numbers merge kernel errors and know no ENETDOWN: the kernel's word is kept aside.
int keep_kernel_error(sockaddr_nl*, nlmsgerr* message, void* argument) {
  *static_cast<int*>(argument) = -message->error;
  return -NLE_FAILURE;
}

}  // namespace

Netlink::Netlink() : state_(std::make_unique<State>()) {
  constexpr const char* what = "cannot open a netlink socket";
  nl_sock* const socket = require(state_->socket.get());
  nl_socket_modify_err_cb(socket, NL_CB_CUSTOM, keep_kernel_error, &state_->kernel_error);
  if (const int error = nl::connect_to_route(socket)) throw_system_error(error, what);
}

Netlink::Netlink(UniqueFd socket) : state_(std::make_unique<State>()) {
  nl_sock* const own = require(state_->socket.get());
  nl_socket_modify_err_cb(own, NL_CB_CUSTOM, keep_kernel_error, &state_->kernel_error);
  state_->check(nl_socket_set_fd(own, NETLINK_ROUTE, socket.get()), [] { return "cannot use a netlink socket"; });
  static_cast<void>(socket.release());
}

Netlink::~Netlink() = default;
Netlink::Netlink(Netlink&&) noexcept = default;
Netlink& Netlink::operator=(Netlink&&) noexcept = default;

std::optional<Link> Netlink::find_link(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) return std::nullopt;
  const nl::Link link = state_->get_link(0, name.c_str());
  if (!link) return std::nullopt;
  return from_nl(link.get());
}

std::vector<Link> Netlink::links() {
  nl_cache* cache = nullptr;
  state_->check(rtnl_link_alloc_cache(state_->socket.get(), AF_UNSPEC, &cache),
                [] { return "cannot list network interfaces"; });
  const nl::Cache owner(cache);
  std::vector<Link> all;
  for_each(cache, [&](nl_object* object) { all.push_back(from_nl(reinterpret_cast<rtnl_link*>(object))); });
  return all;
}

void Netlink::set_mtu(std::uint32_t index, std::uint32_t mtu) {
  state_->change_link(
      index, [&](rtnl_link* wanted) { rtnl_link_set_mtu(wanted, mtu); },
      "cannot set MTU " + std::to_string(mtu) + " on");
}

void Netlink::set_up(std::uint32_t index, bool up) {
  state_->change_link(
      index,
      [&](rtnl_link* wanted) { up ? rtnl_link_set_flags(wanted, IFF_UP) : rtnl_link_unset_flags(wanted, IFF_UP); },
      up ? "cannot bring up" : "cannot take down");
}

void Netlink::add_address(std::uint32_t index, const Prefix& prefix) {
  const auto address = make_address(index, prefix);
  state_->check(rtnl_addr_add(state_->socket.get(), address.get(), NLM_F_EXCL),
                [&] { return "cannot add address " + prefix.to_string() + " to " + state_->device(index); });
}

void Netlink::remove_address(std::uint32_t index, const Prefix& prefix) {
  const auto address = make_address(index, prefix);
  state_->check(rtnl_addr_delete(state_->socket.get(), address.get(), 0),
                [&] { return "cannot remove address " + prefix.to_string() + " from " + state_->device(index); });
}

void Netlink::add_route(std::uint32_t index, const Route& route) {
  const auto wanted = make_route(index, route);
  // Nothing lies between us and the destination but the device: what `ip route add PREFIX dev X` says too.
  rtnl_route_set_scope(wanted.get(), RT_SCOPE_LINK);
  rtnl_route_set_protocol(wanted.get(), RTPROT_BOOT);
  state_->check(rtnl_route_add(state_->socket.get(), wanted.get(), NLM_F_EXCL),
                [&] { return "cannot add " + describe(route) + " through " + state_->device(index); });
}

void Netlink::remove_route(std::uint32_t index, const Route& route) {
  const auto wanted = make_route(index, route);
  // "Any" in both: whoever made the route.
  rtnl_route_set_scope(wanted.get(), RT_SCOPE_NOWHERE);
  rtnl_route_set_protocol(wanted.get(), RTPROT_UNSPEC);
  state_->check(rtnl_route_delete(state_->socket.get(), wanted.get(), 0),
                [&] { return "cannot remove " + describe(route) + " through " + state_->device(index); });
}

void Netlink::add_default_route(std::uint32_t index, const Address& gateway) {
  const Prefix everything{gateway.is_v4() ? Address() : Address::from_bytes(Family::V6, std::array<std::byte, 16>{}),
                          0};
  const auto wanted = make_route(index, {.destination = everything});
  const auto via = to_nl(Prefix{gateway, static_cast<std::uint8_t>(gateway.bits())});
  rtnl_route_nh_set_gateway(rtnl_route_nexthop_n(wanted.get(), 0), via.get());
  rtnl_route_set_protocol(wanted.get(), RTPROT_BOOT);
  state_->check(rtnl_route_add(state_->socket.get(), wanted.get(), NLM_F_EXCL), [&] {
    return "cannot add a default route by " + gateway.to_string() + " through " + state_->device(index);
  });
}

std::vector<Prefix> Netlink::addresses(std::uint32_t index) {
  std::vector<Prefix> all;
  for (const auto& [of, prefix] : all_addresses()) {
    if (of == index) all.push_back(prefix);
  }
  return all;
}

std::vector<std::pair<std::uint32_t, Prefix>> Netlink::all_addresses() {
  nl_cache* cache = nullptr;
  state_->check(rtnl_addr_alloc_cache(state_->socket.get(), &cache),
                [] { return "cannot list addresses of network interfaces"; });
  const nl::Cache owner(cache);
  std::vector<std::pair<std::uint32_t, Prefix>> all;
  for_each(cache, [&](nl_object* object) {
    auto* const address = reinterpret_cast<rtnl_addr*>(object);
    const int family = rtnl_addr_get_family(address);
    if (family != AF_INET && family != AF_INET6) return;
    all.emplace_back(static_cast<std::uint32_t>(rtnl_addr_get_ifindex(address)),
                     from_nl(rtnl_addr_get_local(address), family, rtnl_addr_get_prefixlen(address)));
  });
  return all;
}

std::vector<Route> Netlink::routes(std::uint32_t index) {
  nl_cache* cache = nullptr;
  state_->check(rtnl_route_alloc_cache(state_->socket.get(), AF_UNSPEC, 0, &cache),
                [&] { return "cannot list routes through " + state_->device(index); });
  const nl::Cache owner(cache);
  std::vector<Route> all;
  for_each(cache, [&](nl_object* object) {
    auto* const route = reinterpret_cast<rtnl_route*>(object);
    const int family = rtnl_route_get_family(route);
    const bool is_ip = family == AF_INET || family == AF_INET6;
    if (!is_ip || rtnl_route_get_table(route) == local_table || rtnl_route_get_nnexthops(route) != 1) return;
    if (rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(route, 0)) != static_cast<int>(index)) return;
    nl_addr* const destination = rtnl_route_get_dst(route);
    const int length = destination == nullptr ? 0 : static_cast<int>(nl_addr_get_prefixlen(destination));
    all.push_back({from_nl(destination, family, length), rtnl_route_get_table(route)});
  });
  return all;
}

std::vector<RouteHops> Netlink::all_routes() {
  nl_cache* cache = nullptr;
  state_->check(rtnl_route_alloc_cache(state_->socket.get(), AF_UNSPEC, 0, &cache),
                [] { return "cannot list routes"; });
  const nl::Cache owner(cache);
  std::vector<RouteHops> all;
  for_each(cache, [&](nl_object* object) {
    auto* const route = reinterpret_cast<rtnl_route*>(object);
    const int family = rtnl_route_get_family(route);
    if (family != AF_INET && family != AF_INET6) return;
    nl_addr* const destination = rtnl_route_get_dst(route);
    const int length = destination == nullptr ? 0 : static_cast<int>(nl_addr_get_prefixlen(destination));
    RouteHops& hops = all.emplace_back();
    hops.destination = from_nl(destination, family, length);
    hops.table = rtnl_route_get_table(route);
    for (int hop = 0; hop < rtnl_route_get_nnexthops(route); ++hop) {
      hops.interfaces.push_back(
          static_cast<std::uint32_t>(rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(route, hop))));
    }
  });
  return all;
}

}  // namespace culvert
