// Network namespaces with names, in the place where `ip netns` has them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/netns/network_namespace.hpp"
#include "culvert/netns/steps.hpp"

namespace culvert {

inline constexpr std::string_view named_namespaces_folder = "/run/netns";

struct NamedNamespace {
  std::string name;
  std::optional<NamespaceIdentity> identity;  ///< nothing for a file that is left behind without its namespace
  friend bool operator==(const NamedNamespace&, const NamedNamespace&) = default;
};

/// Throws std::invalid_argument for what cannot be a name: empty, with a slash, longer than 255 bytes, "." and "..",
/// and "pid:…", which would be taken for a process.
void check_namespace_name(std::string_view name);
[[nodiscard]] std::string path_of_named(std::string_view name);

/// By name, in the order of the alphabet.
[[nodiscard]] std::vector<NamedNamespace> named_namespaces();
/// All names of one namespace.
[[nodiscard]] std::vector<std::string> names_of(const NamespaceIdentity& identity);

/// Makes a namespace with this name that lives without processes; the calling thread stays where it is. Throws
/// std::system_error or std::invalid_argument, with nothing left behind, as PinnedNamespace::named does, of which it is
/// the short form.
void add_namespace(const std::string& name, const StepHook& before_step = {});
/// Removes the name. The namespace lives on while a process is in it, or something else refers to it. Throws
/// std::system_error that names it (ENOENT: there is none), with the name still there.
void delete_namespace(const std::string& name, const StepHook& before_step = {});

}  // namespace culvert
