// Turns at a library's handle that remembers what it is doing.
#pragma once

#include <atomic>

namespace culvert::detail {

/// Kept beside the handle, for libraries whose nonce and tag live in it. Nearly always free: two threads meet here only
/// when both have packets of one session.
class OneAtATime {
 public:
  class Turn {
   public:
    explicit Turn(OneAtATime& owner) noexcept : busy_(owner.busy_) {
      while (busy_.test_and_set(std::memory_order_acquire)) busy_.wait(true, std::memory_order_relaxed);
    }
    ~Turn() {
      busy_.clear(std::memory_order_release);
      busy_.notify_one();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    std::atomic_flag& busy_;
  };

 private:
  std::atomic_flag busy_;
};

}  // namespace culvert::detail
