// News of network interfaces over rtnetlink.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace culvert {

/// One change of a network interface: its state afterwards.
struct LinkEvent {
  std::uint32_t index = 0;
  std::string name;
  std::uint32_t mtu = 0;
  bool is_up = false;    ///< administratively
  bool is_gone = false;  ///< deleted, or moved to another namespace
};

/// Tells of changes to links: a non-blocking descriptor to wait on, and events to take from it. Not thread-safe.
class LinkMonitor {
 public:
  /// Watches the calling thread's network namespace. Throws std::system_error.
  LinkMonitor();
  ~LinkMonitor();
  LinkMonitor(LinkMonitor&&) noexcept;
  LinkMonitor& operator=(LinkMonitor&&) noexcept;

  [[nodiscard]] int fd() const noexcept;
  /// Events that are there now; empty if none. `is_overrun` tells whether some were lost: look at the links anew.
  [[nodiscard]] std::vector<LinkEvent> take(bool& is_overrun);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace culvert
