// What the open files of other processes tell about namespaces, tun devices and sockets.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "culvert/netns/network_namespace.hpp"

namespace culvert {

/// A descriptor of /dev/net/tun that is attached to a device.
struct HeldDevice {
  pid_t holder = 0;
  int fd = -1;       ///< the holder's number for it
  std::string name;  ///< of the device
};

/// A network namespace that a process has open.
struct HeldNamespace {
  pid_t holder = 0;
  int fd = -1;  ///< the holder's number for it
};

struct OpenFiles {
  std::vector<HeldDevice> devices;
  std::map<std::uint64_t, std::vector<HeldNamespace>> namespaces;  ///< by inode; each process once
  std::vector<pid_t> mounts;  ///< one process of each mount namespace but the caller's
  std::size_t hidden = 0;     ///< processes that this user may not look at
};

/// Of all processes but the calling one. What ends meanwhile is left out.
[[nodiscard]] OpenFiles open_files();
/// Nothing if it is gone, or the kernel does not give it to this user.
[[nodiscard]] std::optional<NetworkNamespace> open_held(const HeldNamespace& held);
/// The namespace that the device is in; likewise.
[[nodiscard]] std::optional<NetworkNamespace> home_of(const HeldDevice& device);
/// The namespace of a UDP socket of process `pid` that is bound to `port`; likewise.
[[nodiscard]] std::optional<NetworkNamespace> home_of_udp_socket(pid_t pid, std::uint16_t port);
/// False for threads of the kernel, and for what has ended.
[[nodiscard]] bool has_program(pid_t pid);
/// As in /proc/PID/comm; empty if it is gone.
[[nodiscard]] std::string name_of_process(pid_t pid);

}  // namespace culvert
