// The system's resolver, told by resolvconf or systemd-resolved which servers a tunnel has.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "culvert/quick/program.hpp"
#include "culvert/quick/undo.hpp"

namespace culvert {

/// How to take back what set_dns() will do; nothing if neither resolvconf nor a running systemd-resolved is there.
[[nodiscard]] std::optional<Undo> plan_dns(const std::string& device, const DnsPrograms& programs = {});
/// Makes the resolver ask `entries`' servers first, and its search domains last. Throws std::exception.
void set_dns(const Undo& plan, const std::vector<std::string>& entries, ProgramRunner& runner,
             const DnsPrograms& programs = {});

void unset_resolvconf(const std::string& name, ProgramRunner& runner, const DnsPrograms& programs = {});
void unset_resolved(const std::string& device, ProgramRunner& runner, const DnsPrograms& programs = {});

}  // namespace culvert
