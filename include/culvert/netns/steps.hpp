// Work in several steps that is done as a whole or not at all.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

namespace culvert {

/// Told what comes next, before each step; what it throws is a failure of that step.
using StepHook = std::function<void(std::string_view)>;

/// Unless kept, what was done is undone when this ends, the last step first. Neither copied nor moved.
class Steps {
 public:
  explicit Steps(StepHook before_step = {}) : before_step_(std::move(before_step)) {}
  ~Steps();
  Steps(const Steps&) = delete;
  Steps& operator=(const Steps&) = delete;

  /// What `act` throws passes through, and `undo` is then forgotten: a step that fails has left nothing. What `undo`
  /// throws later is passed over, so that the others are undone nevertheless.
  void run(std::string_view what, const std::function<void()>& act, std::function<void()> undo = {});
  /// It stays as it is.
  void keep() noexcept { undo_.clear(); }

 private:
  StepHook before_step_;
  std::vector<std::function<void()>> undo_;
};

}  // namespace culvert
