// Which interface a benchmark through a device goes over.
#pragma once

#include <cstdint>
#include <string>

#include "culvert/io/netlink.hpp"

namespace culvert {

struct BenchInterface {
  std::string name;
  std::uint32_t index = 0;
  std::uint32_t mtu = 0;  ///< of the device
  Address v4;             ///< unspecified: has none
  Address v6{Address::from_bytes(Family::V6, std::array<std::byte, 16>{})};
};

/// The device, or the bridge that it is a port of, whose addresses are at the tunnel then; in the netlink's namespace.
/// Link-local addresses do not count. Throws std::runtime_error if there is no such device, std::system_error.
[[nodiscard]] BenchInterface find_bench_interface(Netlink& netlink, const std::string& device);

}  // namespace culvert
