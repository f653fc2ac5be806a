// Network namespaces that can be found from here, and the processes in them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "culvert/netns/network_namespace.hpp"

namespace culvert {

/// Of a process's first thread; nothing when there is no such process, or it is not for this user to look at.
[[nodiscard]] std::optional<NamespaceIdentity> namespace_of(pid_t pid);
/// Processes whose first thread is in it, as far as this user may know, in ascending order.
[[nodiscard]] std::vector<pid_t> processes_in(const NamespaceIdentity& identity);
/// From a decimal number that could be one of a process.
[[nodiscard]] std::optional<pid_t> pid_from(std::string_view text);

/// A file that a network namespace is bound to.
struct Pin {
  std::string path;
  std::uint64_t inode = 0;
};
/// Those in the mount namespace of a process, by the paths that it would use; none if that is not to be seen.
[[nodiscard]] std::vector<Pin> pins_seen_by(pid_t pid);

/// One namespace and all by which it can be opened.
struct KnownNamespace {
  NamespaceIdentity identity;
  std::vector<std::string> names;  ///< under /run/netns
  std::vector<std::string> pins;   ///< files elsewhere that it is bound to
  std::vector<pid_t> processes;    ///< ascending
  /// What NetworkNamespace::open takes for it, the most readable there is.
  [[nodiscard]] std::string specification() const;
};

/// Those with a name, then those pinned in this mount namespace, then those of processes; each once.
[[nodiscard]] std::vector<KnownNamespace> known_namespaces();

}  // namespace culvert
