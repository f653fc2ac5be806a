// Choosing addresses, and sending to them in every way there is.
#include "culvert/exec/probes.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <set>

#include "culvert/io/netlink.hpp"
#include "culvert/io/socket_address.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

namespace {

constexpr std::uint16_t discard_port = 9;
constexpr std::size_t addresses_max = 256;

/// `prefix` with its last byte's low bits changed: some other address of the same network, if it has others.
Address neighbour_of(const Prefix& prefix, std::byte change) {
  std::array<std::byte, 16> bytes{};
  std::ranges::copy(prefix.address.bytes(), bytes.begin());
  const std::size_t last = prefix.address.bytes().size() - 1;
  if (prefix.length < prefix.address.bits()) bytes[last] ^= change;
  return Address::from_bytes(prefix.address.family(), bytes);
}

Address broadcast_of(const Prefix& prefix) {
  std::array<std::byte, 16> bytes{};
  std::ranges::copy(prefix.address.bytes(), bytes.begin());
  for (unsigned bit = prefix.length; bit < prefix.address.bits(); ++bit) bytes[bit / 8] |= std::byte(0x80 >> bit % 8);
  return Address::from_bytes(prefix.address.family(), bytes);
}

void set_option(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof value);
}

/// `link` 0: by routing.
bool send_probe(const std::string& marker, const Address& to, const Link& link) {
  const UniqueFd socket(::socket(to.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.is_open()) return false;
  set_option(socket.get(), SOL_SOCKET, SO_BROADCAST, 1);
  if (link.index != 0) {
    ::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, link.name.c_str(),
                 static_cast<socklen_t>(link.name.size()));
  }
  sockaddr_storage address{};
  const socklen_t size = to_socket_address({to, discard_port, to.is_v4() ? 0 : link.index}, address);
  return ::sendto(socket.get(), marker.data(), marker.size(), 0, reinterpret_cast<const sockaddr*>(&address), size) > 0;
}

}  // namespace

std::vector<Address> addresses_to_probe(const Config& config, const NetworkNamespace& outside) {
  std::set<Address> chosen;
  for (const char* const text : {"192.0.2.1", "2001:db8::1", "255.255.255.255", "224.0.0.251", "ff02::fb", "ff05::2"}) {
    if (const auto address = Address::parse(text)) chosen.insert(*address);
  }
  for (const PeerConfig& peer : config.peers) {
    for (const Prefix& prefix : peer.allowed_ips) chosen.insert(neighbour_of(prefix, std::byte{1}));
  }
  const ScopedNamespace inside(outside);
  Netlink netlink;
  for (const Link& link : netlink.links()) {
    for (const Prefix& own : netlink.addresses(link.index)) {
      chosen.insert({own.address, neighbour_of(own, std::byte{1}), neighbour_of(own, std::byte{3})});
      if (own.address.is_v4()) chosen.insert(broadcast_of(own));
    }
  }
  for (const RouteHops& route : netlink.all_routes()) {
    if (chosen.size() >= addresses_max) break;
    chosen.insert(neighbour_of(route.destination, std::byte{1}));
  }
  return {chosen.begin(), chosen.end()};
}

std::size_t send_probes(const std::string& marker, const std::vector<Address>& addresses) {
  std::vector<Link> ways = Netlink().links();
  ways.insert(ways.begin(), Link());
  std::size_t sent = 0;
  for (const Address& address : addresses) {
    for (const Link& way : ways) {
      if (send_probe(marker, address, way)) ++sent;
    }
  }
  return sent;
}

}  // namespace culvert
