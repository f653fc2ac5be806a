// What a sandbox sees of the file system.
#pragma once

#include <string>
#include <vector>

namespace culvert {

/// For process 1 of new mount and PID namespaces: what is mounted from now on stays inside, /proc shows the processes
/// inside and /sys, if the network namespace is new, too, the interfaces inside. Throws std::system_error or
/// std::runtime_error that says what is in the way.
void show_own_processes_and_interfaces(bool has_own_network);

/// For one that reaches other hosts, afterwards: where /etc/resolv.conf has systemd-resolved asked, which is the host's
/// and at an address that leads nowhere inside, the servers are named that it asks itself. Throws std::system_error.
void name_reachable_resolvers();

/// For an isolated one, afterwards. Network namespaces that are mounted somewhere, and /proc folders of
/// others, are taken away or covered. The file system is read-only but for /tmp, /var/tmp and the `writable` paths; so
/// are /proc/sys, /sys and what else in /proc steers the kernel. /run is empty: there lie the names of namespaces, and
/// the sockets of services that do as they are told; an /etc/resolv.conf that was a link to there reads as it did. So
/// are the `hidden` folders that exist. /dev has terminals and the like, and no hardware. The working folder stays what
/// it is, unless it is covered by now, too; then it is /. Throws std::system_error.
void cover_what_is_outside(const std::vector<std::string>& writable, const std::vector<std::string>& hidden);

}  // namespace culvert
