// An engine that the workers of one device take turns at.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>

#include "culvert/engine/engine.hpp"

namespace culvert {

/// The engine decides under the lock; sealing and opening, which take the time, are done outside of it. With one worker
/// there is no lock. Turns may be nested.
class SharedEngine {
 public:
  /// As Engine's.
  SharedEngine(Random& random, std::size_t mtu) : engine_(random, mtu) {}

  /// The right to use the engine, for as long as it lives. Not to be kept while waiting.
  class Turn {
   public:
    Engine* operator->() const noexcept { return engine_; }
    Engine& operator*() const noexcept { return *engine_; }

   private:
    friend class SharedEngine;
    Turn(Engine& engine, std::unique_lock<std::recursive_mutex> lock) noexcept
        : engine_(&engine), lock_(std::move(lock)) {}
    Engine* engine_;
    std::unique_lock<std::recursive_mutex> lock_;
  };
  [[nodiscard]] Turn take() noexcept {
    return {engine_, is_shared_ ? std::unique_lock(mutex_) : std::unique_lock(mutex_, std::defer_lock)};
  }

  /// Whether turns need the lock. Called while a single thread knows the engine.
  void share(bool is_shared) noexcept { is_shared_ = is_shared; }
  [[nodiscard]] bool is_shared() const noexcept { return is_shared_; }

  /// When the worker that keeps deadlines will look next; during a turn.
  std::optional<Timestamp> timer_set;

 private:
  Engine engine_;
  std::recursive_mutex mutex_;
  bool is_shared_ = false;
};

}  // namespace culvert
