// News of policy routing over rtnetlink.
#pragma once

#include <memory>

namespace culvert {

/// Tells that routing rules of a network namespace changed, or that a default route of any table was removed: a
/// non-blocking descriptor to wait on. IPv4 routes that go because their device goes down are not told of by the
/// kernel (fib_sync_down_dev). Not thread-safe.
class PolicyMonitor {
 public:
  /// Watches the calling thread's network namespace. Throws std::system_error.
  PolicyMonitor();
  ~PolicyMonitor();
  PolicyMonitor(PolicyMonitor&&) noexcept;
  PolicyMonitor& operator=(PolicyMonitor&&) noexcept;

  [[nodiscard]] int fd() const noexcept;
  /// Forgets what was told so far; returns whether there was something, or something was lost.
  [[nodiscard]] bool take();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace culvert
