// Links, addresses and routes over rtnetlink (libnl-route-3).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culvert/base/address.hpp"
#include "culvert/base/result.hpp"

namespace culvert {

/// What the kernel says about a network interface.
struct Link {
  std::uint32_t index = 0;
  std::string name;
  std::uint32_t mtu = 0;
  bool is_up = false;  ///< administratively
};

/// A route through a device.
struct Route {
  Prefix destination;
  std::uint32_t table = 254;  ///< RT_TABLE_MAIN
};

/// A netlink socket in the network namespace in which it was made. Calls throw std::system_error that name the device
/// and the object. Not thread-safe.
class Netlink {
 public:
  Netlink();
  ~Netlink();
  Netlink(Netlink&&) noexcept;
  Netlink& operator=(Netlink&&) noexcept;

  [[nodiscard]] std::optional<Link> find_link(const std::string& name);
  [[nodiscard]] std::vector<Link> links();
  void set_mtu(std::uint32_t index, std::uint32_t mtu);
  void set_up(std::uint32_t index, bool up);
  /// `prefix` keeps its host bits: they are the address. Already there is an error (EEXIST).
  void add_address(std::uint32_t index, const Prefix& prefix);
  void remove_address(std::uint32_t index, const Prefix& prefix);
  void add_route(std::uint32_t index, const Route& route);
  void remove_route(std::uint32_t index, const Route& route);
  /// Addresses of the interface, each with its prefix length.
  [[nodiscard]] std::vector<Prefix> addresses(std::uint32_t index);
  /// Routes whose (only) device is the interface, of all tables but local.
  [[nodiscard]] std::vector<Route> routes(std::uint32_t index);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace culvert
