// News of named network namespaces, whoever makes and deletes them.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "culvert/io/unique_fd.hpp"

namespace culvert {

struct NamespaceEvent {
  enum class Kind : std::uint8_t { Added, Deleted };
  Kind kind = Kind::Added;
  std::string name;
  friend bool operator==(const NamespaceEvent&, const NamespaceEvent&) = default;
};

/// Watches /run/netns, also if it is made later, or deleted and made again: a non-blocking descriptor to wait on, and
/// events to take from it. A name is told of when its file is made, a moment before the namespace is bound to it. Not
/// thread-safe.
class NamespaceMonitor {
 public:
  /// Tells of changes from now on. Throws std::system_error.
  NamespaceMonitor();

  [[nodiscard]] int fd() const noexcept { return inotify_.get(); }
  /// Events that are there now; empty if none. When some were lost by the kernel, what they come to is told.
  [[nodiscard]] std::vector<NamespaceEvent> take();

 private:
  void watch_names();
  void compare(std::vector<NamespaceEvent>& events);
  void add(const std::string& name, std::vector<NamespaceEvent>& events);
  void remove(const std::string& name, std::vector<NamespaceEvent>& events);

  UniqueFd inotify_;
  int parent_watch_ = -1;
  int names_watch_ = -1;  ///< -1: there is no such folder
  std::set<std::string> known_;
};

}  // namespace culvert
