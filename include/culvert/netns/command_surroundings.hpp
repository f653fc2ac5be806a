// What a command finds around it in a network namespace: that namespace's /sys, and its own files of /etc.
#pragma once

#include <string>

#include "culvert/netns/network_namespace.hpp"
#include "culvert/netns/steps.hpp"

namespace culvert {

/// The calling thread goes there for good, in a mount namespace of its own, where /sys tells of that network namespace
/// and each file of /etc/netns/NAME lies over the one in /etc, as `ip netns exec` has it; for a namespace that was not
/// opened by its name, none does. Throws std::system_error, which names the namespace and the file; the thread may then
/// be on its way already and should end, and nobody else has seen anything of it. Needs CAP_SYS_ADMIN.
void enter_for_command(const NetworkNamespace& space, const StepHook& before_step = {});

}  // namespace culvert
