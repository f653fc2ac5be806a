// Links made, joined and moved as a whole: when a later step fails, the earlier ones are taken back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "culvert/base/address.hpp"
#include "culvert/netns/steps.hpp"
#include "culvert/netns/veth_pair.hpp"

namespace culvert {

/// A veth pair with all that makes it useful. Addresses keep their host bits.
struct NewVeth {
  VethEndWish left, right;
  std::vector<Prefix> left_addresses, right_addresses;
  std::optional<std::uint32_t> mtu;
  bool is_up = false;  ///< both ends
};
/// Throws as VethPair::make does, and what stood in the way of an address.
[[nodiscard]] VethPair make_veth(const NewVeth& wish, const StepHook& before_step = {});

/// A bridge with its first ports.
struct NewBridge {
  std::string name;
  std::vector<std::string> ports;
  std::vector<Prefix> addresses;
  std::uint32_t mtu = 1500;
  bool has_stp = false;
  bool is_up = false;  ///< the bridge and these ports
};
/// All of these throw std::system_error or std::invalid_argument that name the interface and the namespace.
void make_bridge(const NetworkNamespace& space, const NewBridge& wish, const StepHook& before_step = {});
void remove_bridge(const NetworkNamespace& space, const std::string& name);
/// Throws std::invalid_argument with the reason for a port that cannot be one, as a tun, or should not, as a link with
/// addresses, which would stop to work.
void add_ports(const NetworkNamespace& space, const std::string& bridge, const std::vector<std::string>& ports,
               const StepHook& before_step = {});
/// `bridge` may be empty: from whichever they are in.
void remove_ports(const NetworkNamespace& space, const std::string& bridge, const std::vector<std::string>& ports,
                  const StepHook& before_step = {});

/// To another namespace, with another name there unless `new_name` is empty; it is down there, without addresses.
Interface move_interface(const NetworkNamespace& from, const std::string& name, const NetworkNamespace& to,
                         const std::string& new_name = {});

/// Of a veth pair both ends go.
void remove_interface(const NetworkNamespace& space, const std::string& name);

void add_addresses(const NetworkNamespace& space, const std::string& name, const std::vector<Prefix>& addresses,
                   const StepHook& before_step = {});
void remove_addresses(const NetworkNamespace& space, const std::string& name, const std::vector<Prefix>& addresses,
                      const StepHook& before_step = {});
/// Up or down.
void set_interfaces_up(const NetworkNamespace& space, const std::vector<std::string>& names, bool is_up,
                       const StepHook& before_step = {});

/// Why a link cannot be a port of `bridge`, and what to do instead; nothing if it can. `links` are all of the
/// namespace.
[[nodiscard]] std::optional<std::string> why_not_a_port(const LinkDetails& port, const std::string& bridge,
                                                        const std::vector<LinkDetails>& links);

}  // namespace culvert
