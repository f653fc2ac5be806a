// Switching forwarding on and off again.
#include "culvert/sandbox/forwarding.hpp"

#include <fcntl.h>

#include <cerrno>
#include <sstream>
#include <system_error>

#include "culvert/io/record_folder.hpp"

namespace culvert {

namespace {

struct Switch {
  Family family;
  const char* name;
  const char* folder;
};
constexpr Switch ipv4_switch{Family::V4, "net/ipv4/ip_forward", "net/ipv4/conf/"};
constexpr Switch ipv6_switch{Family::V6, "net/ipv6/conf/all/forwarding", "net/ipv6/conf/"};
// The kernel sets it to the opposite of the switch (inet_forward_change in net/ipv4/devinet.c).
constexpr const char* accept_redirects = "net/ipv4/conf/all/accept_redirects";
constexpr const char* on = "1";
constexpr const char* off = "0";

const Switch& switch_of(Family family) {
  return family == Family::V4 ? ipv4_switch : ipv6_switch;
}

void write_if_there(const KernelSetting& setting) {
  try {
    write_sysctl(setting.name, setting.value);
  } catch (const std::system_error& error) {
    if (error.code().value() != ENOENT) throw;
  }
}

}  // namespace

std::vector<KernelSetting> settings_before_forwarding(Family family) {
  const Switch& all = switch_of(family);
  const std::string value = read_sysctl(all.name);
  if (value != off) return {};
  std::vector<KernelSetting> before{{all.name, value}};
  if (family == Family::V4) before.push_back({accept_redirects, read_sysctl(accept_redirects)});
  for (const std::string& link : names_in("/proc/sys/" + std::string(all.folder))) {
    const std::string name = all.folder + link + "/forwarding";
    if (link != "all" && read_sysctl(name) == on) before.push_back({name, on});
  }
  return before;
}

std::vector<KernelSetting> settings_of(const std::vector<KernelSetting>& settings, Family family) {
  std::vector<KernelSetting> chosen;
  const std::string_view start = family == Family::V4 ? "net/ipv4/" : "net/ipv6/";
  for (const KernelSetting& setting : settings) {
    if (setting.name.starts_with(start)) chosen.push_back(setting);
  }
  return chosen;
}

void switch_forwarding_on(Family family) {
  write_sysctl(switch_of(family).name, on);
}

void restore_forwarding(const std::vector<KernelSetting>& before) {
  for (const Family family : {Family::V4, Family::V6}) {
    const std::vector<KernelSetting> settings = settings_of(before, family);
    if (settings.empty() || read_sysctl(switch_of(family).name) == off) continue;
    for (const KernelSetting& setting : settings) write_if_there(setting);
  }
}

bool is_forwarding_setting(const std::string& name) {
  if (name == ipv4_switch.name || name == accept_redirects) return true;
  const bool is_of_a_folder = name.starts_with(ipv4_switch.folder) || name.starts_with(ipv6_switch.folder);
  return is_of_a_folder && name.ends_with("/forwarding") && name.find("/../") == std::string::npos;
}

bool would_lose_advertised_routes() {
  if (read_sysctl(ipv6_switch.name) != off) return false;
  const UniqueFd file(::open("/proc/thread-self/net/ipv6_route", O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return false;
  constexpr std::size_t most = std::size_t{64} << 20;
  std::istringstream routes(read_all(file, most).value_or(""));
  // rt6_info_route in net/ipv6/route.c: destination, its length, source, its length, gateway, metric, two counters,
  // flags, interface. RTF_DEFAULT and RTF_ADDRCONF: made of an advertisement (include/uapi/linux/ipv6_route.h).
  constexpr unsigned long advertised_default = 0x00010000 | 0x00040000;
  std::string word, interface;
  for (std::string line; std::getline(routes, line);) {
    std::istringstream fields(line);
    for (int skipped = 0; skipped < 8; ++skipped) fields >> word;
    unsigned long flags = 0;
    fields >> std::hex >> flags >> interface;
    if ((flags & advertised_default) != advertised_default) continue;
    if (read_sysctl(ipv6_switch.folder + interface + "/accept_ra") != "2") return true;
  }
  return false;
}

}  // namespace culvert
