// The system's resolver, told by resolvconf or systemd-resolved which servers a tunnel has.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "culvert/quick/program.hpp"
#include "culvert/quick/undo.hpp"

namespace culvert {

/// Where the programs are looked for that know the system's resolver.
struct DnsPrograms {
  std::vector<std::string> resolvconf{"/usr/sbin/resolvconf", "/sbin/resolvconf", "/usr/bin/resolvconf"};
  std::vector<std::string> resolvectl{"/usr/bin/resolvectl", "/bin/resolvectl"};
  std::string resolved_socket = "/run/systemd/resolve/io.systemd.Resolve";
  std::string interface_order = "/etc/resolvconf/interface-order";
};

/// How to take back what set_dns() will do; nothing if neither resolvconf nor a running systemd-resolved is there.
[[nodiscard]] std::optional<Undo> plan_dns(const std::string& device, const DnsPrograms& programs = {});
/// Makes the resolver ask `entries`' servers first, and its search domains last. Throws std::exception.
void set_dns(const Undo& plan, const std::vector<std::string>& entries, ProgramRunner& runner,
             const DnsPrograms& programs = {});

void unset_resolvconf(const std::string& name, ProgramRunner& runner, const DnsPrograms& programs = {});
void unset_resolved(const std::string& device, ProgramRunner& runner, const DnsPrograms& programs = {});

}  // namespace culvert
