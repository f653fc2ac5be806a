// Looking for the interface with the addresses of a tunnel.
#include "culvert/runtime/bench_interface.hpp"

#include <algorithm>
#include <stdexcept>

#include "culvert/base/printable.hpp"

namespace culvert {

BenchInterface find_bench_interface(Netlink& netlink, const std::string& device) {
  const std::vector<LinkDetails> links = netlink.link_details();
  const auto found = std::ranges::find(links, device, [](const LinkDetails& link) { return link.name.name; });
  if (found == links.end()) throw std::runtime_error("there is no device " + printable(device));
  const auto master = std::ranges::find(links, found->master, [](const LinkDetails& link) { return link.name.index; });
  const bool is_port = found->master != 0 && master != links.end();
  BenchInterface interface;
  interface.name = (is_port ? *master : *found).name.name;
  interface.index = (is_port ? *master : *found).name.index;
  interface.mtu = found->mtu;
  static const Prefix link_local = *Prefix::parse("fe80::/10");
  for (const Prefix& prefix : netlink.addresses(interface.index)) {
    Address& place = prefix.address.is_v4() ? interface.v4 : interface.v6;
    if (!link_local.contains(prefix.address) && place.is_unspecified()) place = prefix.address;
  }
  return interface;
}

}  // namespace culvert
