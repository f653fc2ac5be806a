// Links, routes and resolvers that should not be there.
#include "culvert/exec/confinement.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "culvert/base/printable.hpp"
#include "culvert/exec/resolver_files.hpp"
#include "culvert/io/netlink.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

namespace {

bool answers(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::ranges::copy(path, address.sun_path);
  const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

std::vector<std::string> find_ways_out(const std::string& device, const std::string& resolv_conf,
                                       const NamespaceIdentity& outside) {
  std::vector<std::string> found;
  if (NetworkNamespace::current().identity() == outside) found.emplace_back("the network namespace is not a new one");
  Netlink netlink;
  std::vector<std::uint32_t> expected;
  for (const Link& link : netlink.links()) {
    if (link.name == "lo" || link.name == device) {
      expected.push_back(link.index);
    } else {
      found.push_back("there is a link " + printable(link.name) + " beside lo and " + device);
    }
  }
  if (expected.size() != 2) found.push_back("there is no lo or no " + device);
  for (const RouteHops& route : netlink.all_routes()) {
    const bool leads_elsewhere = std::ranges::any_of(
        route.interfaces, [&](std::uint32_t index) { return std::ranges::find(expected, index) == expected.end(); });
    if (!leads_elsewhere) continue;
    found.push_back("route " + route.destination.to_string() + " in table " + std::to_string(route.table) +
                    " does not lead into " + device);
  }
  if (present_resolv_conf() != resolv_conf) found.emplace_back("/etc/resolv.conf is not what was written there");
  for (const std::string& path : sockets_of_resolvers()) {
    if (answers(path)) found.push_back("names can be asked for at " + path);
  }
  return found;
}

}  // namespace culvert
