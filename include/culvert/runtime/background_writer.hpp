// A thread for what may have to wait for a disk.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace culvert {

/// Does jobs one after the other, in the order in which they came, on a thread of its own. post() may be called on any
/// thread.
class BackgroundWriter {
 public:
  /// `patience`: how long the destructor waits at most.
  explicit BackgroundWriter(std::chrono::milliseconds patience = std::chrono::seconds(5));
  /// Waits for what is still to be done, but not longer than a dead disk deserves: then the thread is left to itself,
  /// and jobs that are not begun are lost, which the log says.
  ~BackgroundWriter();
  BackgroundWriter(const BackgroundWriter&) = delete;
  BackgroundWriter& operator=(const BackgroundWriter&) = delete;

  /// Returns at once. `job` throws nothing, and owns what it needs.
  void post(std::function<void()> job);

 private:
  struct State;
  std::chrono::milliseconds patience_;
  std::shared_ptr<State> state_;
};

}  // namespace culvert
