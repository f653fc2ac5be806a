// Reading what others have written about a NIC.
#include "culvert/bridge/surroundings.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "culvert/base/fields.hpp"
#include "culvert/io/record_folder.hpp"

namespace culvert {

namespace {

constexpr std::size_t size_max = 65536;

std::optional<std::string> text_of(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open()) return std::nullopt;
  auto text = read_all(file, size_max);
  while (text && (text->ends_with('\n') || text->ends_with(' '))) text->pop_back();
  return text;
}

/// The value of a line KEY=VALUE.
std::optional<std::string> value_in(const std::string& text, std::string_view key) {
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == '=') {
      return std::string(line.substr(key.size() + 1));
    }
  }
  return std::nullopt;
}

bool is_in_first_namespace(const std::string& path) {
  struct stat ours {};
  struct stat first {};
  if (::stat("/proc/thread-self/ns/net", &ours) != 0 || ::stat(path.c_str(), &first) != 0) return true;
  return ours.st_dev == first.st_dev && ours.st_ino == first.st_ino;
}

bool is_alive(const std::string& pid_file) {
  const auto text = text_of(pid_file);
  const auto pid = text ? number_from<pid_t>(*text) : std::nullopt;
  return pid && *pid > 0 && (::kill(*pid, 0) == 0 || errno == EPERM);
}

std::optional<NicManager> dhcp_client(const LinkName& nic, const SurroundingsFiles& files) {
  const std::array<std::pair<std::string_view, std::string>, 5> pid_files{{
      {"dhclient", "/dhclient." + nic.name + ".pid"},
      {"dhclient", "/dhclient-" + nic.name + ".pid"},
      {"dhcpcd", "/dhcpcd/" + nic.name + ".pid"},
      {"dhcpcd", "/dhcpcd-" + nic.name + ".pid"},
      {"udhcpc", "/udhcpc." + nic.name + ".pid"},
  }};
  for (const auto& [name, file] : pid_files) {
    if (!is_alive(files.run + file)) continue;
    return NicManager{std::string(name), "in /etc/network/interfaces: \"iface BRIDGE inet dhcp\" with \"bridge_ports " +
                                             nic.name + "\" and \"bridge_stp off\" (package bridge-utils)"};
  }
  return std::nullopt;
}

std::optional<NicManager> manager_of(const LinkName& nic, const std::string& bridge, const SurroundingsFiles& files) {
  if (!is_in_first_namespace(files.first_namespace)) return std::nullopt;
  const std::string number = std::string("/").append(std::to_string(nic.index));
  const auto network_manager = text_of(files.network_manager + number);
  const auto managed = network_manager ? value_in(*network_manager, "managed") : std::nullopt;
  if (managed == "true" || managed == "1") {
    return NicManager{"NetworkManager", "nmcli connection add type bridge ifname " + bridge +
                                            " bridge.stp no bridge.mac-address (that of the NIC); nmcli connection add "
                                            "type ethernet ifname " +
                                            nic.name + " master " + bridge};
  }
  const auto networkd = text_of(files.networkd + number);
  const auto state = networkd ? value_in(*networkd, "ADMIN_STATE") : std::nullopt;
  constexpr std::array<std::string_view, 3> unmanaged{"unmanaged", "pending", "initialized"};
  if (state && std::ranges::find(unmanaged, *state) == unmanaged.end()) {
    return NicManager{"systemd-networkd", "a .netdev file with Kind=bridge and MACAddress=none for " + bridge +
                                              ", and Bridge=" + bridge + " in the .network file of " + nic.name};
  }
  auto client = dhcp_client(nic, files);
  if (client) client->advice.replace(client->advice.find("BRIDGE"), std::string_view("BRIDGE").size(), bridge);
  return client;
}

bool is_wifi(const LinkName& nic, const SurroundingsFiles& files) {
  const std::string folder = files.interfaces + "/" + nic.name;
  // sysfs shows the namespace in which it was mounted, where another may have this name.
  if (text_of(folder + "/ifindex") != std::to_string(nic.index)) return false;
  return ::access((folder + "/phy80211").c_str(), F_OK) == 0;
}

std::optional<std::string> hypervisor_of(const SurroundingsFiles& files) {
  const auto vendor = text_of(files.machine_vendor);
  for (const std::string_view known : {"VMware", "Amazon EC2", "Google", "Microsoft Corporation"}) {
    if (vendor && vendor->starts_with(known)) return vendor;
  }
  return std::nullopt;
}

}  // namespace

Surroundings look_around(const LinkName& nic, const std::string& bridge, const SurroundingsFiles& files) {
  const auto reverse_path = [&](const std::string& name) {
    return text_of(files.address_settings + "/" + name + "/rp_filter").value_or("0");
  };
  // The larger of the two counts: 0 no check, 1 strict, 2 loose.
  const std::string effective = std::max(reverse_path("all"), reverse_path(nic.name));
  return {.is_wifi = is_wifi(nic, files),
          .manager = manager_of(nic, bridge, files),
          .filters_bridged_frames = text_of(files.bridge_filter) == "1",
          .is_reverse_path_strict = effective == "1",
          .hypervisor = hypervisor_of(files)};
}

}  // namespace culvert
