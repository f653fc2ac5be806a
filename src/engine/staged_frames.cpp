// Frames that wait for a session: lists of reused copies.
#include "culvert/engine/staged_frames.hpp"

namespace culvert {

std::size_t StagedFrames::push(StagedQueue& queue, ByteView frame) {
  std::size_t lost = 0;
  const bool store_is_full = free_ == StagedQueue::none && nodes_.size() >= capacity_;
  if (queue.count_ >= limits::staged_frames_max || (store_is_full && !queue.empty())) {
    pop(queue);
    ++lost;
  } else if (store_is_full) {
    return 1;
  }
  std::uint32_t index = free_;
  if (index == StagedQueue::none) {
    index = static_cast<std::uint32_t>(nodes_.size());
    nodes_.emplace_back();
  } else {
    free_ = nodes_[index].next;
  }
  Node& node = nodes_[index];
  node.bytes.assign(frame.begin(), frame.end());
  node.next = StagedQueue::none;
  if (queue.tail_ == StagedQueue::none) {
    queue.head_ = index;
  } else {
    nodes_[queue.tail_].next = index;
  }
  queue.tail_ = index;
  ++queue.count_;
  return lost;
}

ByteView StagedFrames::front(const StagedQueue& queue) const noexcept {
  return nodes_[queue.head_].bytes;
}

void StagedFrames::pop(StagedQueue& queue) noexcept {
  const std::uint32_t index = queue.head_;
  queue.head_ = nodes_[index].next;
  if (queue.head_ == StagedQueue::none) queue.tail_ = StagedQueue::none;
  --queue.count_;
  nodes_[index].next = free_;
  free_ = index;
}

std::size_t StagedFrames::clear(StagedQueue& queue) noexcept {
  const std::size_t count = queue.size();
  while (!queue.empty()) pop(queue);
  return count;
}

}  // namespace culvert
