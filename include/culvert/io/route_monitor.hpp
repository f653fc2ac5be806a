// News of all that decides over the way of a packet, over rtnetlink.
#pragma once

#include <memory>

namespace culvert {

/// Tells that routes, routing rules, addresses or links of a network namespace changed: a non-blocking descriptor to
/// wait on. Not thread-safe.
class RouteMonitor {
 public:
  /// Watches the calling thread's network namespace. Throws std::system_error.
  RouteMonitor();
  ~RouteMonitor();
  RouteMonitor(RouteMonitor&&) noexcept;
  RouteMonitor& operator=(RouteMonitor&&) noexcept;

  [[nodiscard]] int fd() const noexcept;
  /// Forgets what was told so far; returns whether there was something, or something was lost.
  [[nodiscard]] bool take();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace culvert
