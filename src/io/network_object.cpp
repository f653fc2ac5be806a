// What can be said about a NetworkObject, and how it is changed.
#include "culvert/io/network_object.hpp"

#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>

#include "culvert/base/fields.hpp"
#include "network_object_layout.hpp"

namespace culvert {

namespace {

using Attribute = NetworkObject::Attribute;
using Kind = NetworkObject::Kind;

constexpr std::array<std::string_view, 4> kind_words{"address", "neighbour", "rule", "route"};
constexpr std::uint32_t forever = 0xffffffff;  // INFINITY_LIFE_TIME in net/ipv6/addrconf.c

std::string text_of(const Attribute& attribute) {
  std::string text(reinterpret_cast<const char*>(attribute.value.data()), attribute.value.size());
  return text.substr(0, text.find('\0'));
}

void set_text(Attribute& attribute, const std::string& text) {
  const auto* const bytes = reinterpret_cast<const std::byte*>(text.c_str());
  attribute.value.assign(bytes, bytes + text.size() + 1);
}

/// Visits the nexthops of a route with several: visit(rtnexthop&, its attributes).
template <class Visit>
void for_each_nexthop(Attribute& multipath, Visit visit) {
  std::span<std::byte> rest(multipath.value);
  while (rest.size() >= sizeof(rtnexthop)) {
    rtnexthop hop{};
    std::memcpy(&hop, rest.data(), sizeof hop);
    const std::size_t size = hop.rtnh_len;
    if (size < sizeof hop || size > rest.size()) return;
    visit(hop, std::span<const std::byte>(rest).subspan(sizeof hop, size - sizeof hop));
    std::memcpy(rest.data(), &hop, sizeof hop);
    rest = rest.subspan(std::min(rest.size(), (size + 3) & ~std::size_t{3}));
  }
}

std::optional<Address> address_from(unsigned char family, std::span<const std::byte> bytes) {
  const std::size_t size = family == AF_INET ? 4 : 16;
  if ((family != AF_INET && family != AF_INET6) || bytes.size() < size) return std::nullopt;
  return Address::from_bytes(family == AF_INET ? Family::V4 : Family::V6, bytes);
}

std::optional<Address> address_in(unsigned char family, const NetworkObject& object, unsigned type) {
  const Attribute* const attribute = find(object, type);
  return attribute == nullptr ? std::nullopt : address_from(family, attribute->value);
}

std::optional<Address> local_address(const NetworkObject& object) {
  const auto family = header_of<ifaddrmsg>(object).ifa_family;
  const auto local = address_in(family, object, IFA_LOCAL);
  return local ? local : address_in(family, object, IFA_ADDRESS);
}

/// RTA_VIA, a gateway of another family than the route's: an address family (16 bits) and the address.
std::optional<Address> via_address(std::span<const std::byte> via) {
  if (via.size() < sizeof(std::uint16_t)) return std::nullopt;
  std::uint16_t family = 0;
  std::memcpy(&family, via.data(), sizeof family);
  return address_from(static_cast<unsigned char>(family), via.subspan(sizeof family));
}

std::optional<Address> gateway_in(unsigned char family, unsigned type, std::span<const std::byte> value) {
  if (type == RTA_GATEWAY) return address_from(family, value);
  return type == RTA_VIA ? via_address(value) : std::nullopt;
}

bool is_alike(const NetworkObject& one, const NetworkObject& other, std::initializer_list<unsigned> types) {
  return std::ranges::all_of(types, [&](unsigned type) {
    const Attribute* const left = find(one, type);
    const Attribute* const right = find(other, type);
    return left == nullptr || right == nullptr ? left == right : left->value == right->value;
  });
}

std::uint32_t table_of(const NetworkObject& route) {
  return value_of<std::uint32_t>(route, RTA_TABLE).value_or(header_of<rtmsg>(route).rtm_table);
}

bool is_same_route(const NetworkObject& one, const NetworkObject& other) {
  const auto left = header_of<rtmsg>(one);
  const auto right = header_of<rtmsg>(other);
  return left.rtm_family == right.rtm_family && left.rtm_dst_len == right.rtm_dst_len &&
         left.rtm_src_len == right.rtm_src_len && left.rtm_tos == right.rtm_tos && table_of(one) == table_of(other) &&
         is_alike(one, other, {RTA_DST, RTA_SRC, RTA_PRIORITY});
}

bool is_same_address(const NetworkObject& one, const NetworkObject& other) {
  const auto left = header_of<ifaddrmsg>(one);
  const auto right = header_of<ifaddrmsg>(other);
  return left.ifa_family == right.ifa_family && left.ifa_prefixlen == right.ifa_prefixlen &&
         is_alike(one, other, {IFA_LOCAL, IFA_ADDRESS});
}

bool is_same_rule(NetworkObject one, NetworkObject other) {
  for (NetworkObject* rule : {&one, &other}) {
    erase(*rule, FRA_IIFNAME);
    erase(*rule, FRA_OIFNAME);
  }
  return one == other;
}

// A lifetime in the first and second number of a value, and what is left of it.
bool shorten(std::uint32_t& lifetime, std::chrono::seconds elapsed) {
  if (lifetime == forever) return true;
  lifetime -= static_cast<std::uint32_t>(std::min<std::int64_t>(lifetime, std::max<std::int64_t>(elapsed.count(), 0)));
  return lifetime != 0;
}

std::string prefix_text(const std::optional<Address>& address, unsigned char family, unsigned length) {
  if (!address && length == 0) return family == AF_INET ? "0.0.0.0/0" : "::/0";
  return address ? Prefix{*address, static_cast<std::uint8_t>(length)}.to_string() : "?";
}

std::string hex(std::span<const std::byte> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const std::byte value : bytes) {
    text += digits[std::to_integer<unsigned>(value) >> 4];
    text += digits[std::to_integer<unsigned>(value) & 15];
  }
  return text;
}

std::optional<std::vector<std::byte>> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::vector<std::byte> bytes;
  bytes.reserve(text.size() / 2);
  for (; !text.empty(); text.remove_prefix(2)) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + 2, value, 16);
    if (error != std::errc() || end != text.data() + 2) return std::nullopt;
    bytes.push_back(static_cast<std::byte>(value));
  }
  return bytes;
}

void move_address(NetworkObject& object, const LinkName& from, const LinkName& to) {
  auto header = header_of<ifaddrmsg>(object);
  if (header.ifa_index != from.index) return;
  header.ifa_index = to.index;
  set_header(object, header);
  Attribute* const label = find(object, IFA_LABEL);
  if (label == nullptr) return;
  // "eth0" or, of an alias, "eth0:1".
  const std::string before = text_of(*label);
  std::string after = to.name + (before.starts_with(from.name) ? before.substr(from.name.size()) : std::string());
  if (after.size() >= IFNAMSIZ) after = to.name;
  set_text(*label, after);
}

void move_route(NetworkObject& object, const LinkName& from, const LinkName& to) {
  if (value_of<std::uint32_t>(object, RTA_OIF) == from.index) set_value(object, RTA_OIF, to.index);
  Attribute* const multipath = find(object, RTA_MULTIPATH);
  if (multipath == nullptr) return;
  for_each_nexthop(*multipath, [&](rtnexthop& hop, std::span<const std::byte>) {
    if (hop.rtnh_ifindex == static_cast<int>(from.index)) hop.rtnh_ifindex = static_cast<int>(to.index);
  });
}

}  // namespace

NetworkObject moved(NetworkObject object, const LinkName& from, const LinkName& to) {
  switch (object.kind) {
    case Kind::Address:
      move_address(object, from, to);
      break;
    case Kind::Neighbour: {
      auto header = header_of<ndmsg>(object);
      if (header.ndm_ifindex == static_cast<int>(from.index)) header.ndm_ifindex = static_cast<int>(to.index);
      set_header(object, header);
      break;
    }
    case Kind::Rule:
      for (const unsigned type : {FRA_IIFNAME, FRA_OIFNAME}) {
        Attribute* const name = find(object, type);
        if (name != nullptr && text_of(*name) == from.name) set_text(*name, to.name);
      }
      break;
    case Kind::Route:
      move_route(object, from, to);
      break;
  }
  return object;
}

std::optional<NetworkObject> aged(NetworkObject object, std::chrono::seconds elapsed) {
  if (object.kind == Kind::Address) {
    auto lifetimes = value_of<ifa_cacheinfo>(object, IFA_CACHEINFO);
    if (!lifetimes) return object;
    shorten(lifetimes->ifa_prefered, elapsed);
    if (!shorten(lifetimes->ifa_valid, elapsed)) return std::nullopt;
    set_value(object, IFA_CACHEINFO, *lifetimes);
  }
  if (object.kind == Kind::Route) {
    auto lifetime = value_of<std::uint32_t>(object, RTA_EXPIRES);
    if (!lifetime) return object;
    if (!shorten(*lifetime, elapsed)) return std::nullopt;
    set_value(object, RTA_EXPIRES, *lifetime);
  }
  return object;
}

NetworkObject without_detection(NetworkObject object) {
  if (object.kind != Kind::Address || header_of<ifaddrmsg>(object).ifa_family != AF_INET6) return object;
  set_value(object, IFA_FLAGS, value_of<std::uint32_t>(object, IFA_FLAGS).value_or(0) | IFA_F_NODAD);
  return object;
}

bool is_same(const NetworkObject& one, const NetworkObject& other) {
  if (one.kind != other.kind) return false;
  switch (one.kind) {
    case Kind::Address:
      return is_same_address(one, other);
    case Kind::Neighbour:
      return header_of<ndmsg>(one).ndm_family == header_of<ndmsg>(other).ndm_family &&
             header_of<ndmsg>(one).ndm_flags == header_of<ndmsg>(other).ndm_flags && is_alike(one, other, {NDA_DST});
    case Kind::Rule:
      return is_same_rule(one, other);
    case Kind::Route:
      break;
  }
  return is_same_route(one, other);
}

bool is_made_by_kernel(const NetworkObject& route, const std::vector<NetworkObject>& addresses) {
  if (route.kind != Kind::Route) return false;
  const auto header = header_of<rtmsg>(route);
  if (header.rtm_protocol == RTPROT_REDIRECT || table_of(route) == RT_TABLE_LOCAL) return true;
  if (header.rtm_protocol != RTPROT_KERNEL) return false;
  const auto network = address_in(header.rtm_family, route, RTA_DST);
  // NetworkManager makes such routes itself, under the kernel's name.
  return std::ranges::none_of(addresses, [&](const NetworkObject& object) {
    if (object.kind != Kind::Address || !network) return false;
    const std::uint32_t flags = value_of<std::uint32_t>(object, IFA_FLAGS).value_or(0);
    const auto address = header_of<ifaddrmsg>(object);
    const auto local = local_address(object);
    return (flags & IFA_F_NOPREFIXROUTE) != 0 && local && address.ifa_prefixlen == header.rtm_dst_len &&
           Prefix{*local, address.ifa_prefixlen}.masked().address == *network;
  });
}

bool has_nexthop_object(const NetworkObject& object) {
  return object.kind == Kind::Route && find(object, RTA_NH_ID) != nullptr;
}

bool is_global_address(const NetworkObject& object) {
  return object.kind == Kind::Address && header_of<ifaddrmsg>(object).ifa_scope != RT_SCOPE_LINK;
}

std::optional<std::chrono::seconds> lifetime_of(const NetworkObject& object) {
  if (object.kind != Kind::Address) return std::nullopt;
  const auto lifetimes = value_of<ifa_cacheinfo>(object, IFA_CACHEINFO);
  if (!lifetimes || lifetimes->ifa_valid == forever) return std::nullopt;
  return std::chrono::seconds(lifetimes->ifa_valid);
}

std::vector<Address> gateways_at(const NetworkObject& object, std::uint32_t link) {
  std::vector<Address> gateways;
  if (object.kind != Kind::Route) return gateways;
  const auto family = header_of<rtmsg>(object).rtm_family;
  const auto add = [&](const std::optional<Address>& address) {
    if (address) gateways.push_back(*address);
  };
  if (value_of<std::uint32_t>(object, RTA_OIF) == link) {
    for (const unsigned type : {RTA_GATEWAY, RTA_VIA}) {
      if (const Attribute* const found = find(object, type)) add(gateway_in(family, type, found->value));
    }
  }
  const Attribute* const found = find(object, RTA_MULTIPATH);
  if (found == nullptr) return gateways;
  Attribute multipath = *found;
  for_each_nexthop(multipath, [&](rtnexthop& hop, std::span<const std::byte> rest) {
    if (hop.rtnh_ifindex != static_cast<int>(link)) return;
    while (rest.size() >= sizeof(rtattr)) {
      rtattr attribute{};
      std::memcpy(&attribute, rest.data(), sizeof attribute);
      const std::size_t size = attribute.rta_len;
      if (size < sizeof attribute || size > rest.size()) return;
      add(gateway_in(family, attribute.rta_type, rest.subspan(sizeof attribute, size - sizeof attribute)));
      rest = rest.subspan(std::min(rest.size(), (size + 3) & ~std::size_t{3}));
    }
  });
  return gateways;
}

std::string describe(const NetworkObject& object) {
  switch (object.kind) {
    case Kind::Address: {
      const auto header = header_of<ifaddrmsg>(object);
      return "address " + prefix_text(local_address(object), header.ifa_family, header.ifa_prefixlen);
    }
    case Kind::Neighbour: {
      const auto address = address_in(header_of<ndmsg>(object).ndm_family, object, NDA_DST);
      return "neighbour " + (address ? address->to_string() : "?");
    }
    case Kind::Rule:
      return "routing rule " + std::to_string(value_of<std::uint32_t>(object, FRA_PRIORITY).value_or(0));
    case Kind::Route:
      break;
  }
  const auto header = header_of<rtmsg>(object);
  const std::uint32_t table = table_of(object);
  return "route " + prefix_text(address_in(header.rtm_family, object, RTA_DST), header.rtm_family, header.rtm_dst_len) +
         (table == RT_TABLE_MAIN ? std::string() : " in table " + std::to_string(table));
}

std::string to_line(const NetworkObject& object) {
  std::vector<std::string> fields{std::string(kind_words[static_cast<std::size_t>(object.kind)]), hex(object.header)};
  for (const Attribute& attribute : object.attributes) {
    fields.push_back(std::to_string(attribute.type) + ":" + hex(attribute.value));
  }
  return join_fields(fields);
}

std::optional<NetworkObject> network_object_from_line(std::string_view line) {
  const auto fields = split_fields(line);
  if (!fields || fields->size() < 2) return std::nullopt;
  const auto kind = std::ranges::find(kind_words, fields->front());
  auto header = from_hex((*fields)[1]);
  if (kind == kind_words.end() || !header) return std::nullopt;
  NetworkObject object;
  object.kind = static_cast<Kind>(kind - kind_words.begin());
  object.header = std::move(*header);
  if (object.header.size() != header_size(object.kind)) return std::nullopt;
  for (std::size_t at = 2; at < fields->size(); ++at) {
    const std::string_view field = (*fields)[at];
    const std::size_t colon = field.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto type = number_from<std::uint16_t>(field.substr(0, colon));
    auto value = from_hex(field.substr(colon + 1));
    if (!type || !value) return std::nullopt;
    object.attributes.push_back({*type, std::move(*value)});
  }
  return object;
}

}  // namespace culvert
