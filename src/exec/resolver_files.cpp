// resolv.conf and nsswitch.conf of a tunnel's namespace.
#include "culvert/exec/resolver_files.hpp"

#include <fcntl.h>

#include <optional>
#include <sstream>

#include "culvert/base/address.hpp"
#include "culvert/io/record_folder.hpp"
#include "culvert/unshare/mounts.hpp"

namespace culvert {

namespace {

constexpr const char* run_folder = "/run";
constexpr const char* resolv_conf_file = "/etc/resolv.conf";
constexpr const char* nsswitch_conf = "/etc/nsswitch.conf";
constexpr std::size_t file_size_max = 64 << 10;

std::optional<std::string> text_of(const char* path) {
  const UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC));
  return file.is_open() ? read_all(file, file_size_max) : std::nullopt;
}

}  // namespace

std::string resolv_conf_of(const std::vector<std::string>& dns) {
  std::string servers;
  std::string domains;
  for (const std::string& entry : dns) {
    if (Address::parse(entry)) {
      servers += "nameserver " + entry + "\n";
    } else {
      domains += " " + entry;
    }
  }
  return "# By culvert exec, for this namespace alone.\n" + servers +
         (domains.empty() ? "" : "search" + domains + "\n");
}

std::string present_resolv_conf() {
  return text_of(resolv_conf_file).value_or("");
}

bool asks_only_this_host(std::string_view text) {
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key;
    std::string server;
    words >> key >> server;
    if (key != "nameserver") continue;
    const auto address = Address::parse(server);
    const bool is_here = address && (Prefix::parse("127.0.0.0/8")->contains(*address) || server == "::1");
    if (!is_here) return false;
  }
  // Without any, the resolver asks this host.
  return true;
}

std::string nsswitch_with_dns_alone(std::string_view text) {
  std::string changed;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    const std::size_t first = line.find_first_not_of(" \t");
    const bool is_of_hosts = first != std::string_view::npos && line.substr(first).starts_with("hosts:");
    if (!is_of_hosts) changed.append(line).append("\n");
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return changed + "hosts: files dns\n";
}

const std::vector<std::string>& folders_of_resolvers() {
  static const std::vector<std::string> folders{"/run/nscd", "/run/systemd/resolve", "/run/avahi-daemon"};
  return folders;
}

const std::vector<std::string>& sockets_of_resolvers() {
  static const std::vector<std::string> sockets{"/run/nscd/socket", "/var/run/nscd/socket",
                                                "/run/systemd/resolve/io.systemd.Resolve", "/run/avahi-daemon/socket"};
  return sockets;
}

ConfinedResolver::ConfinedResolver(const std::vector<std::string>& dns) {
  // Before it is hidden: it may be a link to what systemd-resolved writes.
  const auto before = text_of(resolv_conf_file);
  std::vector<std::string> folders = folders_of_resolvers();
  // Were it a mount alone, whoever removes the folder outside would end that.
  folders.emplace_back("/run/wireguard");
  empty_folders(run_folder, folders);
  files_.make_room_in(run_folder);
  if (const auto nsswitch = text_of(nsswitch_conf)) files_.put_over(nsswitch_conf, nsswitch_with_dns_alone(*nsswitch));
  resolv_conf_ = dns.empty() ? before.value_or("") : resolv_conf_of(dns);
  if (dns.empty() && (!before || text_of(resolv_conf_file) == before)) return;
  files_.put_over(resolv_conf_file, resolv_conf_);
}

}  // namespace culvert
