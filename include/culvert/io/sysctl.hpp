// Settings of the calling thread's network namespace under /proc/sys.
#pragma once

#include <string>

namespace culvert {

/// A setting under /proc/sys.
struct KernelSetting {
  std::string name;
  std::string value;
  friend bool operator==(const KernelSetting&, const KernelSetting&) = default;
};

/// Whether the network namespace has IPv6 and, if there is such an interface, has it on `device`.
[[nodiscard]] bool has_ipv6(const std::string& device) noexcept;

/// Lets the reverse path filter take marks into account, so that answers to marked datagrams pass it.
inline constexpr const char* src_valid_mark = "net/ipv4/conf/all/src_valid_mark";

/// Without the end of the line. Throws std::system_error.
[[nodiscard]] std::string read_sysctl(const std::string& name);
void write_sysctl(const std::string& name, const std::string& value);

}  // namespace culvert
