// What the kernel does not undo by itself when a tunnel's process ends: how to undo it, as plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "culvert/base/mac_address.hpp"
#include "culvert/io/netlink.hpp"
#include "culvert/netns/network_namespace.hpp"
#include "culvert/quick/program.hpp"

namespace culvert {

/// The PreDown or PostDown lines of a file.
struct RunHooks {
  std::string key;
  std::vector<std::string> lines;
  friend bool operator==(const RunHooks&, const RunHooks&) = default;
};
/// The socket file of a process that was killed.
struct RemoveStaleSocket {
  std::string path;
  friend bool operator==(const RemoveStaleSocket&, const RemoveStaleSocket&) = default;
};
/// What was given to resolvconf under this name.
struct RemoveFromResolvconf {
  std::string name;
  friend bool operator==(const RemoveFromResolvconf&, const RemoveFromResolvconf&) = default;
};
/// What systemd-resolved was told about a link.
struct RevertResolved {
  std::string device;
  friend bool operator==(const RevertResolved&, const RevertResolved&) = default;
};
struct RemoveRule {
  RoutingRule rule;
  friend bool operator==(const RemoveRule&, const RemoveRule&) = default;
};
/// The table of packet filter rules of a device.
struct RemoveFirewall {
  Family family = Family::V4;
  std::string device;
  friend bool operator==(const RemoveFirewall&, const RemoveFirewall&) = default;
};
/// The value that net.ipv4.conf.all.src_valid_mark had before the first tunnel of this namespace set it.
struct RestoreSourceValidMark {
  std::string value;
  friend bool operator==(const RestoreSourceValidMark&, const RestoreSourceValidMark&) = default;
};

/// A bridge that was made for a tap; it stays as long as it has ports.
struct RemoveBridge {
  std::string bridge;
  MacAddress mac;  ///< that it was made with; zero: any
  friend bool operator==(const RemoveBridge&, const RemoveBridge&) = default;
};
/// A NIC that was put into a bridge.
struct ReleaseBridgePort {
  std::string nic;
  std::string bridge;
  bool was_up = false;
  friend bool operator==(const ReleaseBridgePort&, const ReleaseBridgePort&) = default;
};

/// A named network namespace that was made for a tunnel, and that all tunnels which use it hold in common.
struct RemoveNamespace {
  std::string name;
  NamespaceIdentity identity;  ///< another one by that name stays
  friend bool operator==(const RemoveNamespace&, const RemoveNamespace&) = default;
};

using Undo = std::variant<RunHooks, RemoveStaleSocket, RemoveFromResolvconf, RevertResolved, RemoveRule, RemoveFirewall,
                          RestoreSourceValidMark, RemoveBridge, ReleaseBridgePort, RemoveNamespace>;

/// Where the programs are looked for that know the system's resolver.
struct DnsPrograms {
  std::vector<std::string> resolvconf{"/usr/local/sbin/resolvconf", "/usr/local/bin/resolvconf", "/usr/sbin/resolvconf",
                                      "/usr/bin/resolvconf",        "/sbin/resolvconf",          "/bin/resolvconf"};
  std::vector<std::string> resolvectl{"/usr/local/bin/resolvectl", "/usr/bin/resolvectl", "/bin/resolvectl"};
  std::string resolved_socket = "/run/systemd/resolve/io.systemd.Resolve";
  std::string interface_order = "/etc/resolvconf/interface-order";
};

/// One line without its end, and back; nothing for a line that is none of ours.
[[nodiscard]] std::string to_line(const Undo& undo);
[[nodiscard]] std::optional<Undo> undo_from_line(std::string_view line);

/// Does it, in the calling thread's network namespace. Nothing to undo is no error. Throws std::exception saying what
/// could not be undone.
void perform(const Undo& undo, ProgramRunner& programs, const DnsPrograms& dns = {});

}  // namespace culvert
