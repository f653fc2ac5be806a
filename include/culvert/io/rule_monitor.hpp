// News of routing rules over rtnetlink.
#pragma once

#include <memory>

namespace culvert {

/// Tells that routing rules of a network namespace changed: a non-blocking descriptor to wait on. Not thread-safe.
class RuleMonitor {
 public:
  /// Watches the calling thread's network namespace. Throws std::system_error.
  RuleMonitor();
  ~RuleMonitor();
  RuleMonitor(RuleMonitor&&) noexcept;
  RuleMonitor& operator=(RuleMonitor&&) noexcept;

  [[nodiscard]] int fd() const noexcept;
  /// Forgets what was told so far; returns whether there was something, or something was lost.
  [[nodiscard]] bool take();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace culvert
