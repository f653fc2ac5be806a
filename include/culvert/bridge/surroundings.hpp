// What the system says about a NIC in files: who manages it, whether it is Wi-Fi, what filters bridged frames.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "culvert/io/network_object.hpp"

namespace culvert {

/// Where to look; a test looks elsewhere.
struct SurroundingsFiles {
  std::string interfaces = "/sys/class/net";
  std::string network_manager = "/run/NetworkManager/devices";
  std::string networkd = "/run/systemd/netif/links";
  std::string run = "/run";
  std::string machine_vendor = "/sys/class/dmi/id/sys_vendor";
  std::string bridge_filter = "/proc/sys/net/bridge/bridge-nf-call-iptables";
  std::string address_settings = "/proc/sys/net/ipv4/conf";
  /// The network namespace that the managers above work in.
  std::string first_namespace = "/proc/1/ns/net";
};

/// A program that gives a NIC its addresses, and would take them back from a bridge.
struct NicManager {
  std::string name;
  std::string advice;  ///< how it makes a bridge itself
};

struct Surroundings {
  bool is_wifi = false;
  std::optional<NicManager> manager;
  bool filters_bridged_frames = false;    ///< br_netfilter
  bool is_reverse_path_strict = false;    ///< rp_filter = 1 on the NIC
  std::optional<std::string> hypervisor;  ///< one that is known to drop frames of other stations
};

/// Changes nothing. What cannot be read is taken as absent.
[[nodiscard]] Surroundings look_around(const LinkName& nic, const std::string& bridge,
                                       const SurroundingsFiles& files = {});

}  // namespace culvert
