// Namespace = NAME: a network namespace that is made for a tunnel if it is missing.
#pragma once

#include <string>
#include <string_view>

#include "culvert/netns/network_namespace.hpp"
#include "culvert/netns/steps.hpp"
#include "culvert/quick/undo.hpp"

namespace culvert {

/// Whether Namespace or SocketNamespace gives a name, not a path or a process.
[[nodiscard]] bool is_name_of_namespace(std::string_view specification) noexcept;

/// The namespace; a fresh one that nobody sees yet for a name that nobody has; the caller's for no words at all. Throws
/// as NetworkNamespace::open does.
[[nodiscard]] NetworkNamespace open_or_create_namespace(const std::string& specification);

/// Gives a fresh one its name, and brings its "lo" up. Throws std::system_error, or what `before_step` throws.
void name_namespace(const std::string& name, const NetworkNamespace& space, const StepHook& before_step = {});

/// Takes its name from it, unless the name is another's by now. Throws std::system_error.
void remove_namespace(const RemoveNamespace& made);

/// Whether what was opened by name can be found by it no more.
[[nodiscard]] bool has_lost_its_name(const NetworkNamespace& space);

}  // namespace culvert
