// What arrives at one link is received at another, by a BPF program.
#pragma once

#include <cstdint>

#include "culvert/base/result.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// For the lifetime of this object each frame that arrives at link `from` is received at link `to`, if that is up, and
/// else dropped; filters that others have there (tc(8), XDP) come first or stay as they are. Both links are in the
/// calling thread's network namespace. The kernel ends it with the process. Move-only.
class IngressRedirect {
 public:
  /// An error of category system where the kernel has no such programs (before Linux 6.6) or does not permit them
  /// (CAP_BPF and CAP_NET_ADMIN).
  static Result<IngressRedirect> begin(std::uint32_t from, std::uint32_t to) noexcept;

 private:
  explicit IngressRedirect(UniqueFd link) : link_(std::move(link)) {}
  UniqueFd link_;
};

}  // namespace culvert
