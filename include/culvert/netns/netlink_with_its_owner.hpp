// Looking into a network namespace that belongs to another user namespace.
#pragma once

#include "culvert/io/netlink.hpp"
#include "culvert/netns/network_namespace.hpp"

namespace culvert {

/// A netlink socket of that namespace. Who may not enter it alone may do so together with the user namespace that owns
/// it, as its owner: the kernel lets a process with one thread do that (setns(2)), so a short-lived child makes the
/// socket. Throws std::system_error.
[[nodiscard]] Netlink netlink_with_its_owner(const NetworkNamespace& space);

}  // namespace culvert
