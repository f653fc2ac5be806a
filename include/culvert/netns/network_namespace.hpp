// Network namespaces: naming one, and being in one for a while.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// What makes a namespace this one and no other: device and inode of its nsfs file.
struct NamespaceIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  friend auto operator<=>(const NamespaceIdentity&, const NamespaceIdentity&) = default;
};

/// An open reference to a network namespace; keeps it alive. Move-only.
class NetworkNamespace {
 public:
  /// The calling thread's.
  static NetworkNamespace current();
  /// A fresh one with nothing but "lo", which is down; the calling thread stays where it is. Throws std::system_error
  /// (EPERM without CAP_SYS_ADMIN).
  static NetworkNamespace create();
  /// By the words users write: "NAME" (under /run/netns), "/a/path", "pid:1234". Throws std::system_error or
  /// std::invalid_argument that name the namespace and say what was wrong: no such name, no such process, not a network
  /// namespace, no permission, a name with a slash or too long.
  static NetworkNamespace open(std::string_view specification);
  /// Takes over a descriptor, which must be of a network namespace. Throws as above.
  static NetworkNamespace adopt(UniqueFd fd);

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] NamespaceIdentity identity() const;
  /// The words it was opened by; empty for one that was not.
  [[nodiscard]] const std::string& specification() const noexcept { return specification_; }

 private:
  explicit NetworkNamespace(UniqueFd fd, std::string specification = {})
      : fd_(std::move(fd)), specification_(std::move(specification)) {}
  UniqueFd fd_;
  std::string specification_;
};

/// For people: "network namespace 'blue'".
[[nodiscard]] std::string describe(const NetworkNamespace& space);
/// Of the network namespace that is bound to the file at this absolute path; nothing if there is none, or it is not to
/// be looked at.
[[nodiscard]] std::optional<NamespaceIdentity> identity_at(const std::string& path);

/// The network namespace with this identity, if it can be found: the caller's, by its name, under /run/netns, or that
/// of any process.
[[nodiscard]] std::optional<NetworkNamespace> find_namespace(const NamespaceIdentity& identity,
                                                             const std::string& name);

/// The calling thread is in the given namespace for the lifetime of this object, and back where it was afterwards.
/// Neither copied nor moved; lives and dies on one thread, nests. Throws std::system_error when entering is refused; if
/// returning is refused the process ends, because going on in the wrong namespace would be worse.
class ScopedNamespace {
 public:
  explicit ScopedNamespace(const NetworkNamespace& there);
  ~ScopedNamespace();
  ScopedNamespace(const ScopedNamespace&) = delete;
  ScopedNamespace& operator=(const ScopedNamespace&) = delete;

 private:
  NetworkNamespace back_;
  bool has_moved_ = false;
};

}  // namespace culvert
