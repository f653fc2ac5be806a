// What people want to know about network interfaces: whose other end they are, and how a bridge uses them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culvert/base/mac_address.hpp"
#include "culvert/io/network_object.hpp"

namespace culvert {

/// One interface, as `ip link` tells about it.
struct InterfaceFacts {
  LinkName name;
  std::uint32_t mtu = 0;
  bool is_up = false;  ///< administratively
  bool has_carrier = false;
  bool is_loopback = false;
  bool carries_ethernet = false;
  std::string state;         ///< RFC 2863: "up", "down", "lowerlayerdown", "unknown" …
  std::string kind;          ///< "veth", "bridge", "tun"; empty for hardware and loopback
  std::string detail;        ///< of its kind: "id 5" of a VLAN, "mode bridge" of a macvlan; empty for others
  MacAddress mac;            ///< all zero unless it carries Ethernet
  std::uint32_t master = 0;  ///< the bridge, bond or team that has it; 0: none
  std::uint32_t group = 0;   ///< as `ip link set group` sets it; 0 is the default
  std::uint32_t other = 0;   ///< the other end of a veth, what a macvlan or VLAN link is made of; 0: none
  /// The network namespace of `other`, by the number that this namespace knows it by; nothing: the same one. -1: it has
  /// no number here.
  std::optional<std::int32_t> other_namespace;
};

/// One port of a bridge.
struct BridgePort {
  enum class State : std::uint8_t { Disabled, Listening, Learning, Forwarding, Blocking };  ///< IEEE 802.1D, BR_STATE_…
  std::uint32_t index = 0;
  std::uint32_t bridge = 0;
  State state = State::Disabled;
  std::uint32_t priority = 0;
  std::uint32_t cost = 0;
};

[[nodiscard]] std::string_view word_for(BridgePort::State state) noexcept;

/// A veth pair before it is made. Neither name is empty.
struct VethSettings {
  std::string name;
  std::string peer_name;
  int peer_namespace = -1;           ///< an open network namespace; -1: that of the socket
  std::optional<std::uint32_t> mtu;  ///< of both ends
  std::uint32_t group = 0;           ///< of the end that is not the peer
};

}  // namespace culvert
