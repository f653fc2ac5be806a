// Frames that wait for a session.
#pragma once

#include <cstdint>
#include <vector>

#include "culvert/base/bytes.hpp"
#include "culvert/protocol/limits.hpp"

namespace culvert {

/// One peer's waiting frames: a list threaded through the device's StagedFrames.
class StagedQueue {
 public:
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }

 private:
  friend class StagedFrames;
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  std::uint32_t head_ = none;
  std::uint32_t tail_ = none;
  std::uint32_t count_ = 0;
};

/// Copies of frames for all peers of a device, at most `capacity` in all and limits::staged_frames_max per peer. Memory
/// is taken when first needed and reused from then on.
class StagedFrames {
 public:
  explicit StagedFrames(std::size_t capacity = 8192) : capacity_(capacity) {}

  /// Appends a copy of `frame`. Returns how many frames were lost for it: the queue's oldest when the queue or the
  /// store is full, `frame` itself when the store is full of other peers' frames.
  std::size_t push(StagedQueue& queue, ByteView frame);
  /// The oldest frame; the queue is not empty. Valid until the next call.
  [[nodiscard]] ByteView front(const StagedQueue& queue) const noexcept;
  void pop(StagedQueue& queue) noexcept;
  /// Drops all; returns how many.
  std::size_t clear(StagedQueue& queue) noexcept;

 private:
  struct Node {
    std::vector<std::byte> bytes;
    std::uint32_t next = StagedQueue::none;
  };
  std::size_t capacity_;
  std::vector<Node> nodes_;
  std::uint32_t free_ = StagedQueue::none;
};

}  // namespace culvert
