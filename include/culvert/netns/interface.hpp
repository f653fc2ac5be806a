// A network interface: its number in one network namespace.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>
#include <system_error>

#include "culvert/io/netlink.hpp"
#include "culvert/netns/network_namespace.hpp"

namespace culvert {

/// Which interface this is, among those of all namespaces. A number is not used again in its namespace for a long
/// while.
struct Interface {
  NamespaceIdentity home;
  std::uint32_t index = 0;
  friend auto operator<=>(const Interface&, const Interface&) = default;
};

/// Throws std::invalid_argument, which names it, for what the kernel takes for no name of an interface: empty, longer
/// than 15 bytes, with a slash, colon or space (dev_valid_name in net/core/dev.c).
void check_interface_name(std::string_view name);

/// A netlink socket of that namespace, which lives at least as long as the socket. Throws std::system_error.
[[nodiscard]] Netlink netlink_in(const NetworkNamespace& space);

/// Throws the same again, with words that name the namespace if they do not yet and it was opened by a name.
[[noreturn]] void throw_naming(const NetworkNamespace& space, const std::system_error& error);
/// What `act` returns; what the kernel refuses to it names the namespace, too.
template <class Act>
auto in_words_of(const NetworkNamespace& space, Act act) {
  try {
    return act();
  } catch (const std::system_error& error) {
    throw_naming(space, error);
  }
}

/// The interface with this name. Throws std::system_error (ENODEV), which names it and the namespace, when there is
/// none.
InterfaceFacts require_interface(Netlink& netlink, const NetworkNamespace& space, const std::string& name);
/// Likewise, and std::invalid_argument for what is no bridge.
InterfaceFacts require_bridge(Netlink& netlink, const NetworkNamespace& space, const std::string& name);
/// Throws std::system_error (EEXIST), which names both, when there is one.
void require_free_name(Netlink& netlink, const NetworkNamespace& space, const std::string& name);

}  // namespace culvert
