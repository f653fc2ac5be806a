// Objects as the kernel tells them, and making them again.
#include <netlink/attr.h>

#include <algorithm>

#include "netlink_state.hpp"
#include "network_object_layout.hpp"

namespace culvert {

namespace {

using Attribute = NetworkObject::Attribute;
using Kind = NetworkObject::Kind;

// What a wish may say; the rest are states (include/uapi/linux/if_addr.h, rtnetlink.h, fib_rules.h).
constexpr std::uint32_t address_wishes =
    IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN;
constexpr std::uint32_t route_wishes = RTNH_F_ONLINK | RTNH_F_PERVASIVE;
constexpr std::uint32_t rule_wishes = FIB_RULE_INVERT;
constexpr unsigned attempts_at_a_dump = 5;

struct MessageTypes {
  int get;
  int add;
  int remove;
};

MessageTypes types_of(Kind kind) {
  switch (kind) {
    case Kind::Address:
      return {RTM_GETADDR, RTM_NEWADDR, RTM_DELADDR};
    case Kind::Neighbour:
      return {RTM_GETNEIGH, RTM_NEWNEIGH, RTM_DELNEIGH};
    case Kind::Rule:
      return {RTM_GETRULE, RTM_NEWRULE, RTM_DELRULE};
    case Kind::Route:
      break;
  }
  return {RTM_GETROUTE, RTM_NEWROUTE, RTM_DELROUTE};
}

std::span<const std::byte> bytes_of(const void* data, int size) {
  return {static_cast<const std::byte*>(data), static_cast<std::size_t>(size)};
}

NetworkObject object_from(Kind kind, nlmsghdr* message) {
  const int size = static_cast<int>(header_size(kind));
  NetworkObject object;
  object.kind = kind;
  if (!nlmsg_valid_hdr(message, size)) return object;
  const auto header = bytes_of(nlmsg_data(message), size);
  object.header.assign(header.begin(), header.end());
  nlattr* const first = nlmsg_attrdata(message, size);
  int left = nlmsg_attrlen(message, size);
  for (nlattr* at = first; nla_ok(at, left) != 0; at = nla_next(at, &left)) {
    const auto value = bytes_of(nla_data(at), nla_len(at));
    object.attributes.push_back({at->nla_type, {value.begin(), value.end()}});
  }
  return object;
}

std::uint32_t address_flags(const NetworkObject& address) {
  return value_of<std::uint32_t>(address, IFA_FLAGS).value_or(header_of<ifaddrmsg>(address).ifa_flags);
}

void keep_wishes_of_address(NetworkObject& address) {
  set_value(address, IFA_FLAGS, address_flags(address) & address_wishes);
  auto header = header_of<ifaddrmsg>(address);
  header.ifa_flags = 0;
  set_header(address, header);
  if (auto lifetimes = value_of<ifa_cacheinfo>(address, IFA_CACHEINFO)) {
    lifetimes->cstamp = lifetimes->tstamp = 0;
    set_value(address, IFA_CACHEINFO, *lifetimes);
  }
}

void keep_wishes_of_route(NetworkObject& route) {
  auto header = header_of<rtmsg>(route);
  header.rtm_flags &= route_wishes;
  set_header(route, header);
  if (const auto state = value_of<rta_cacheinfo>(route, RTA_CACHEINFO)) {
    // In hundredths of a second, of IPv6 routes alone.
    constexpr int ticks = 100;
    if (state->rta_expires > 0) set_value(route, RTA_EXPIRES, static_cast<std::uint32_t>(state->rta_expires / ticks));
  }
  erase(route, RTA_CACHEINFO);
  if (Attribute* const multipath = find(route, RTA_MULTIPATH)) {
    std::span<std::byte> rest(multipath->value);
    while (rest.size() >= sizeof(rtnexthop)) {
      rtnexthop hop{};
      std::memcpy(&hop, rest.data(), sizeof hop);
      hop.rtnh_flags &= route_wishes;
      std::memcpy(rest.data(), &hop, sizeof hop);
      if (hop.rtnh_len < sizeof hop) break;
      rest = rest.subspan(std::min<std::size_t>(rest.size(), (std::size_t{hop.rtnh_len} + 3) & ~std::size_t{3}));
    }
  }
}

bool names(const NetworkObject& rule, unsigned type, const std::string& link) {
  const Attribute* const name = find(rule, type);
  return name != nullptr && name->value.size() == link.size() + 1 &&
         std::memcmp(name->value.data(), link.c_str(), link.size() + 1) == 0;
}

bool is_at(const NetworkObject& object, const LinkName& link) {
  // Whatever would change by moving it elsewhere.
  return moved(object, link, {0, "-"}) != object;
}

// As a wish, or nothing for what is none, or is not there.
std::optional<NetworkObject> wish_at(NetworkObject object, const LinkName& link) {
  if (object.header.empty()) return std::nullopt;
  switch (object.kind) {
    case Kind::Address:
      if (header_of<ifaddrmsg>(object).ifa_index != link.index) return std::nullopt;
      keep_wishes_of_address(object);
      return object;
    case Kind::Neighbour: {
      auto header = header_of<ndmsg>(object);
      const bool is_ip = header.ndm_family == AF_INET || header.ndm_family == AF_INET6;
      const bool is_wish = header.ndm_state == NUD_PERMANENT || (header.ndm_flags & NTF_PROXY) != 0;
      if (!is_ip || !is_wish || !is_at(object, link)) return std::nullopt;
      erase(object, NDA_CACHEINFO);
      erase(object, NDA_PROBES);
      return object;
    }
    case Kind::Rule: {
      if (!names(object, FRA_IIFNAME, link.name) && !names(object, FRA_OIFNAME, link.name)) return std::nullopt;
      auto header = header_of<fib_rule_hdr>(object);
      header.flags &= rule_wishes;
      set_header(object, header);
      return object;
    }
    case Kind::Route:
      break;
  }
  if ((header_of<rtmsg>(object).rtm_flags & RTM_F_CLONED) != 0) return std::nullopt;
  if (!is_at(object, link)) return std::nullopt;
  keep_wishes_of_route(object);
  return object;
}

nl::Message request(int type, int flags, std::span<const std::byte> header) {
  auto message = require(nl::Message(nlmsg_alloc_simple(type, flags)));
  if (nlmsg_append(message.get(), const_cast<std::byte*>(header.data()), header.size(), NLMSG_ALIGNTO) < 0) {
    throw std::bad_alloc();
  }
  return message;
}

nl::Message request(int type, int flags, const NetworkObject& object) {
  auto message = request(type, flags, object.header);
  for (const Attribute& attribute : object.attributes) {
    const int size = static_cast<int>(attribute.value.size());
    if (nla_put(message.get(), attribute.type, size, attribute.value.data()) < 0) throw std::bad_alloc();
  }
  return message;
}

constexpr std::array<int, 2> families{AF_INET, AF_INET6};

nl::Message neighbour_message(int type, int flags, std::uint32_t index, const Address& address, unsigned char how = 0,
                              std::uint16_t state = 0) {
  ndmsg header{};
  header.ndm_family = static_cast<unsigned char>(address_family(address.family()));
  header.ndm_ifindex = static_cast<int>(index);
  header.ndm_flags = how;
  header.ndm_state = state;
  auto message = request(type, flags, std::as_bytes(std::span(&header, 1)));
  const ByteView bytes = address.bytes();
  if (nla_put(message.get(), NDA_DST, static_cast<int>(bytes.size()), bytes.data()) < 0) throw std::bad_alloc();
  return message;
}

}  // namespace

std::vector<NetworkObject> Netlink::objects_at(const LinkName& link) {
  std::vector<NetworkObject> all;
  for (const Kind kind : {Kind::Address, Kind::Neighbour, Kind::Rule, Kind::Route}) {
    for (const int family : families) {
      std::vector<std::byte> header(header_size(kind));
      header.front() = static_cast<std::byte>(family);
      std::vector<NetworkObject> found;
      int code = -NLE_DUMP_INTR;
      // A table that changes meanwhile is asked for once more.
      for (unsigned attempt = 0; code == -NLE_DUMP_INTR && attempt < attempts_at_a_dump; ++attempt) {
        found.clear();
        const auto message = request(types_of(kind).get, NLM_F_DUMP, header);
        code = state_->ask(message.get(), [&](nlmsghdr* answer) {
          if (auto object = wish_at(object_from(kind, answer), link)) found.push_back(std::move(*object));
        });
      }
      const bool is_absent = state_->kernel_error == EOPNOTSUPP || state_->kernel_error == EAFNOSUPPORT;
      if (code < 0 && is_absent) {
        state_->kernel_error = 0;
        continue;
      }
      state_->check(code, [&] { return "cannot list what there is at interface " + link.name; });
      // Of IPv6 addresses the latest is listed first.
      if (kind == Kind::Address && family == AF_INET6) std::ranges::reverse(found);
      std::erase_if(found, [&](const NetworkObject& object) { return is_made_by_kernel(object, all); });
      // A gateway is taken only where there is a way to it.
      std::ranges::stable_partition(
          found, [&](const NetworkObject& object) { return gateways_at(object, link.index).empty(); });
      std::ranges::move(found, std::back_inserter(all));
    }
  }
  return all;
}

void Netlink::add(const NetworkObject& object, AddMode mode) {
  const int flags = NLM_F_CREATE | (mode == AddMode::Replace ? NLM_F_REPLACE : NLM_F_EXCL);
  const auto message = request(types_of(object.kind).add, flags, object);
  state_->check(state_->tell(message.get()), [&] { return "cannot add " + describe(object); });
}

bool Netlink::remove(const NetworkObject& object) {
  const auto message = request(types_of(object.kind).remove, 0, object);
  const int code = state_->tell(message.get());
  if (code >= 0) return true;
  const int error = state_->kernel_error;
  if (error == EADDRNOTAVAIL || error == ESRCH || error == ENOENT || error == ENODEV) {
    state_->kernel_error = 0;
    return false;
  }
  state_->fail(code, "cannot remove " + describe(object));
}

void Netlink::share_neighbours(std::uint32_t from, std::uint32_t to) {
  std::vector<NetworkObject> known;
  for (const int family : families) {
    ndmsg header{};
    header.ndm_family = static_cast<unsigned char>(family);
    const auto message = request(RTM_GETNEIGH, NLM_F_DUMP, std::as_bytes(std::span(&header, 1)));
    const int code = state_->ask(message.get(), [&](nlmsghdr* answer) {
      NetworkObject neighbour = object_from(Kind::Neighbour, answer);
      if (neighbour.header.empty() || find(neighbour, NDA_LLADDR) == nullptr) return;
      auto there = header_of<ndmsg>(neighbour);
      constexpr unsigned answered = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE;
      if (there.ndm_ifindex != static_cast<int>(from) || (there.ndm_state & answered) == 0) return;
      there.ndm_ifindex = static_cast<int>(to);
      there.ndm_state = NUD_STALE;
      there.ndm_flags &= NTF_ROUTER;
      set_header(neighbour, there);
      std::erase_if(neighbour.attributes, [](const Attribute& attribute) {
        return attribute.type != NDA_DST && attribute.type != NDA_LLADDR;
      });
      known.push_back(std::move(neighbour));
    });
    if (code < 0) state_->kernel_error = 0;
  }
  for (const NetworkObject& neighbour : known) {
    const auto message = request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, neighbour);
    // One that cannot be told will be asked.
    if (state_->tell(message.get()) < 0) state_->kernel_error = 0;
  }
}

bool Netlink::has_tentative_address(std::uint32_t index) {
  bool found = false;
  ifaddrmsg header{};
  header.ifa_family = AF_INET6;
  const auto message = request(RTM_GETADDR, NLM_F_DUMP, std::as_bytes(std::span(&header, 1)));
  const int code = state_->ask(message.get(), [&](nlmsghdr* answer) {
    const NetworkObject address = object_from(Kind::Address, answer);
    if (address.header.empty() || header_of<ifaddrmsg>(address).ifa_index != index) return;
    const std::uint32_t flags = address_flags(address);
    found = found || ((flags & IFA_F_TENTATIVE) != 0 && (flags & IFA_F_DADFAILED) == 0);
  });
  if (code < 0) state_->kernel_error = 0;
  return found;
}

void Netlink::ask_neighbour(std::uint32_t index, const Address& address) {
  const auto again = neighbour_message(RTM_NEWNEIGH, 0, index, address, 0, NUD_PROBE);
  if (state_->tell(again.get()) >= 0) return;
  state_->kernel_error = 0;
  const auto message = neighbour_message(RTM_NEWNEIGH, NLM_F_CREATE, index, address, NTF_USE);
  state_->check(state_->tell(message.get()),
                [&] { return "cannot ask for " + address.to_string() + " on " + state_->device(index); });
}

void Netlink::forget_neighbour(std::uint32_t index, const Address& address) {
  const auto message = neighbour_message(RTM_DELNEIGH, 0, index, address);
  // Nobody can be forgotten twice.
  if (state_->tell(message.get()) < 0) state_->kernel_error = 0;
}

bool Netlink::has_answered(std::uint32_t index, const Address& address) {
  bool is_reachable = false;
  const auto message = neighbour_message(RTM_GETNEIGH, 0, index, address);
  const int code = state_->ask(message.get(), [&](nlmsghdr* answer) {
    const NetworkObject neighbour = object_from(Kind::Neighbour, answer);
    constexpr unsigned good = NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP;
    is_reachable = !neighbour.header.empty() && (header_of<ndmsg>(neighbour).ndm_state & good) != 0;
  });
  // There is no such neighbour.
  if (code < 0) state_->kernel_error = 0;
  return is_reachable;
}

}  // namespace culvert
