// A network namespace kept alive by a file, without any process in it.
#pragma once

#include <string>

#include "culvert/netns/network_namespace.hpp"
#include "culvert/netns/steps.hpp"

namespace culvert {

/// A namespace bound over a file (mount(2), MS_BIND), by which every process may enter it. Move-only; the file goes
/// with this object unless kept, and the namespace with its last process. A file that is another namespace's by then
/// stays. The mount is made in the calling thread's mount namespace, and is to be undone by a thread of the same.
class PinnedNamespace {
 public:
  /// Makes the file `path`. Throws std::system_error, with nothing changed, that names the namespace and the file:
  /// EEXIST when it is there already, ENOENT when its folder is not, EPERM without CAP_SYS_ADMIN.
  static PinnedNamespace at(const std::string& path, NetworkNamespace space, const StepHook& before_step = {});
  /// The same under /run/netns, where `ip netns` keeps them, which is made into a mount that all see if it is not one
  /// yet. Throws std::invalid_argument for what cannot be a name.
  static PinnedNamespace named(const std::string& name, NetworkNamespace space, const StepHook& before_step = {});

  PinnedNamespace(PinnedNamespace&& other) noexcept;
  PinnedNamespace& operator=(PinnedNamespace&&) = delete;
  ~PinnedNamespace();

  [[nodiscard]] const NetworkNamespace& space() const noexcept { return space_; }
  /// Absolute.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// The file outlives this object.
  void keep() noexcept { is_kept_ = true; }

 private:
  PinnedNamespace(std::string path, NetworkNamespace space) : path_(std::move(path)), space_(std::move(space)) {}
  std::string path_;
  NetworkNamespace space_;
  bool is_kept_ = false;
};

/// Removes the file, and with it what is bound to it, everywhere and at once. Throws std::system_error that names the
/// file, with nothing changed.
void remove_pin(const std::string& path, const StepHook& before_step = {});

/// Removes names under /run/netns that somebody was killed while making. (An abandoned file elsewhere goes when the
/// same path is pinned anew.)
void remove_abandoned_names();

}  // namespace culvert
