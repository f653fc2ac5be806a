// Which peer wants to be woken next: an indexed binary heap.
#include "culvert/engine/deadline_queue.hpp"

namespace culvert {

void DeadlineQueue::wake_by(PeerId peer, Timestamp deadline) {
  if (peer.value() >= positions_.size()) positions_.resize(peer.value() + 1, absent);
  const std::uint32_t position = positions_[peer.value()];
  if (position == absent) {
    heap_.push_back({});
    sift_up(heap_.size() - 1, {deadline, peer});
  } else if (deadline < heap_[position].deadline) {
    sift_up(position, {deadline, peer});
  }
}

void DeadlineQueue::remove(PeerId peer) noexcept {
  if (peer.value() >= positions_.size() || positions_[peer.value()] == absent) return;
  const std::size_t position = positions_[peer.value()];
  positions_[peer.value()] = absent;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (position == heap_.size()) return;
  const bool moves_up = position > 0 && last.deadline < heap_[(position - 1) / 2].deadline;
  moves_up ? sift_up(position, last) : sift_down(position, last);
}

std::optional<Timestamp> DeadlineQueue::earliest() const noexcept {
  if (heap_.empty()) return std::nullopt;
  return heap_.front().deadline;
}

std::optional<PeerId> DeadlineQueue::take_due(Timestamp now) noexcept {
  if (heap_.empty() || heap_.front().deadline > now) return std::nullopt;
  const PeerId peer = heap_.front().peer;
  remove(peer);
  return peer;
}

void DeadlineQueue::place(std::size_t position, Entry entry) noexcept {
  heap_[position] = entry;
  positions_[entry.peer.value()] = static_cast<std::uint32_t>(position);
}

void DeadlineQueue::sift_up(std::size_t position, Entry entry) noexcept {
  while (position > 0) {
    const std::size_t parent = (position - 1) / 2;
    if (heap_[parent].deadline <= entry.deadline) break;
    place(position, heap_[parent]);
    position = parent;
  }
  place(position, entry);
}

void DeadlineQueue::sift_down(std::size_t position, Entry entry) noexcept {
  for (;;) {
    std::size_t child = 2 * position + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].deadline < heap_[child].deadline) ++child;
    if (heap_[child].deadline >= entry.deadline) break;
    place(position, heap_[child]);
    position = child;
  }
  place(position, entry);
}

}  // namespace culvert
