// Doing and undoing steps.
#include "culvert/netns/steps.hpp"

#include <exception>

namespace culvert {

Steps::~Steps() {
  for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) {
    try {
      (*undo)();
    } catch (const std::exception&) {
      // Mostly what was to be taken away is gone already.
    }
  }
}

void Steps::run(std::string_view what, const std::function<void()>& act, std::function<void()> undo) {
  if (before_step_) before_step_(what);
  undo_.reserve(undo_.size() + 1);
  act();
  if (undo) undo_.push_back(std::move(undo));
}

}  // namespace culvert
