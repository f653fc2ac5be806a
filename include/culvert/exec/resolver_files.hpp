// The files by which programs find out whom to ask for names, as a tunnel's namespace has them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "culvert/unshare/stand_ins.hpp"

namespace culvert {

/// resolv.conf(5) with the servers and the search domains of a file's DNS lines.
[[nodiscard]] std::string resolv_conf_of(const std::vector<std::string>& dns);

/// /etc/resolv.conf as the caller sees it; empty if there is none.
[[nodiscard]] std::string present_resolv_conf();
/// Whether the servers of such a text, if there are any, are all on this host: what another namespace cannot reach.
[[nodiscard]] bool asks_only_this_host(std::string_view resolv_conf);

/// nsswitch.conf(5) in which names of hosts are looked for in files and by DNS alone; all else as it was.
[[nodiscard]] std::string nsswitch_with_dns_alone(std::string_view text);

/// Folders of the sockets by which names could be asked for outside of the namespace.
[[nodiscard]] const std::vector<std::string>& folders_of_resolvers();
/// These sockets.
[[nodiscard]] const std::vector<std::string>& sockets_of_resolvers();

/// In a mount namespace of the caller's own: hides what could ask for names outside, and puts the file's DNS in
/// force; without any, resolv.conf stays.
class ConfinedResolver {
 public:
  /// Throws std::system_error.
  explicit ConfinedResolver(const std::vector<std::string>& dns);

  /// What resolv.conf reads as.
  [[nodiscard]] const std::string& resolv_conf() const noexcept { return resolv_conf_; }
  /// To be attended to, should others replace these files.
  [[nodiscard]] StandIns& files() noexcept { return files_; }

 private:
  StandIns files_;
  std::string resolv_conf_;
};

}  // namespace culvert
