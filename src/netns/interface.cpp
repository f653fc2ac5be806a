// Finding interfaces by name in a namespace.
#include "culvert/netns/interface.hpp"

#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

namespace culvert {

namespace {

constexpr std::size_t longest_name = IFNAMSIZ - 1;

}  // namespace

void check_interface_name(std::string_view name) {
  const auto refuse = [&](const char* why) {
    throw std::invalid_argument("interface name '" + std::string(name) + "': " + why);
  };
  if (name.empty() || name == "." || name == "..") refuse("this cannot be a name");
  if (name.size() > longest_name) refuse("a name has at most 15 bytes");
  const auto is_refused = [](char c) {
    return c == '/' || c == ':' || c == '%' || c == ' ' || (c >= '\0' && c < ' ') || c == '\x7f';
  };
  if (std::ranges::any_of(name, is_refused)) refuse("a name holds no '/', ':', '%' and no space");
}

Netlink netlink_in(const NetworkNamespace& space) {
  const ScopedNamespace scope(space);
  return {};
}

void throw_naming(const NetworkNamespace& space, const std::system_error& error) {
  const std::string name = describe(space);
  std::string text = error.what();
  if (space.specification().empty() || text.find(name) != std::string::npos) throw error;
  // It will be added again.
  const std::string reason = ": " + error.code().message();
  if (text.ends_with(reason)) text.resize(text.size() - reason.size());
  throw std::system_error(error.code(), "in " + name + ": " + text);
}

InterfaceFacts require_interface(Netlink& netlink, const NetworkNamespace& space, const std::string& name) {
  if (auto found = netlink.find_interface(name)) return *std::move(found);
  throw std::system_error(ENODEV, std::system_category(), "there is no interface '" + name + "' in " + describe(space));
}

InterfaceFacts require_bridge(Netlink& netlink, const NetworkNamespace& space, const std::string& name) {
  InterfaceFacts bridge = require_interface(netlink, space, name);
  if (bridge.kind == "bridge") return bridge;
  throw std::invalid_argument("interface '" + name + "' in " + describe(space) + " is no bridge");
}

void require_free_name(Netlink& netlink, const NetworkNamespace& space, const std::string& name) {
  if (!netlink.find_interface(name)) return;
  throw std::system_error(EEXIST, std::system_category(),
                          "there is an interface '" + name + "' in " + describe(space) + " already");
}

}  // namespace culvert
