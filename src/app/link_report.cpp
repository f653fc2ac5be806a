// Telling of links in words and as JSON.
#include "link_report.hpp"

#include <algorithm>

#include "culvert/base/printable.hpp"

namespace culvert {
namespace {

std::uint32_t index_of(const InterfaceFacts& link) {
  return link.name.index;
}

std::string upper_case(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return text;
}

}  // namespace

LinkReport::LinkReport(const NetworkNamespace& space) : netlink_(netlink_in(space)), links_(netlink_.interfaces()) {
  std::ranges::sort(links_, {}, index_of);
}

const InterfaceFacts* LinkReport::find(std::uint32_t index) const {
  const auto found = std::ranges::find(links_, index, index_of);
  return found == links_.end() ? nullptr : &*found;
}

std::string LinkReport::words_about_other(const InterfaceFacts& link) const {
  std::string words = link.kind == "veth" ? "to " : "on ";
  const InterfaceFacts* const here = link.other_namespace ? nullptr : find(link.other);
  if (here != nullptr) return words + printable(here->name.name);
  words.append("interface ").append(std::to_string(link.other));
  if (link.other_namespace) words.append(" in namespace number ").append(std::to_string(*link.other_namespace));
  return words;
}

std::string LinkReport::line_about(const InterfaceFacts& link) {
  std::string line = std::to_string(link.name.index);
  line.append(": ").append(printable(link.name.name));
  line += link.is_up ? ": up" : ": down";
  if (link.is_up && link.state != "up") line.append(" (").append(link.state).append(")");
  line.append(", mtu ").append(std::to_string(link.mtu));
  if (!link.kind.empty()) line.append(", ").append(link.kind);
  if (link.other != 0) line.append(" ").append(words_about_other(link));
  if (!link.mac.is_zero()) line.append(", ").append(link.mac.to_string());
  if (const InterfaceFacts* const master = find(link.master))
    line.append(", port of ").append(printable(master->name.name));
  for (const Prefix& address : netlink_.addresses(link.name.index)) line.append(", ").append(address.to_string());
  return line;
}

std::string LinkReport::lines_about_ports(const InterfaceFacts& bridge) {
  std::string lines;
  for (const BridgePort& port : netlink_.bridge_ports()) {
    const InterfaceFacts* const link = find(port.index);
    if (port.bridge != bridge.name.index || link == nullptr) continue;
    lines.append("  ").append(std::to_string(port.index)).append(": ").append(printable(link->name.name));
    lines.append(": ").append(word_for(port.state)).append(", priority ").append(std::to_string(port.priority));
    lines.append(", cost ").append(std::to_string(port.cost)).append("\n");
  }
  return lines;
}

boost::json::object LinkReport::object_about(const InterfaceFacts& link) {
  boost::json::object object;
  object["ifindex"] = link.name.index;
  object["ifname"] = link.name.name;
  object["mtu"] = link.mtu;
  object["up"] = link.is_up;
  object["operstate"] = upper_case(link.state);
  if (!link.kind.empty()) object["linkinfo"] = boost::json::object{{"info_kind", link.kind}};
  if (!link.mac.is_zero()) object["address"] = link.mac.to_string();
  if (const InterfaceFacts* const master = find(link.master)) object["master"] = master->name.name;
  if (link.other != 0) object["link_index"] = link.other;
  if (link.other_namespace) object["link_netnsid"] = *link.other_namespace;
  boost::json::array addresses;
  for (const Prefix& prefix : netlink_.addresses(link.name.index)) {
    addresses.push_back(boost::json::object{{"family", prefix.address.is_v4() ? "inet" : "inet6"},
                                            {"local", prefix.address.to_string()},
                                            {"prefixlen", prefix.length}});
  }
  object["addr_info"] = std::move(addresses);
  return object;
}

boost::json::array LinkReport::ports_of(const InterfaceFacts& bridge) {
  boost::json::array ports;
  for (const BridgePort& port : netlink_.bridge_ports()) {
    const InterfaceFacts* const link = find(port.index);
    if (port.bridge != bridge.name.index || link == nullptr) continue;
    ports.push_back(boost::json::object{{"ifindex", port.index},
                                        {"ifname", link->name.name},
                                        {"state", word_for(port.state)},
                                        {"priority", port.priority},
                                        {"cost", port.cost}});
  }
  return ports;
}

}  // namespace culvert
