// Putting pieces together.
#include "culvert/protocol/reassembler.hpp"

#include <algorithm>
#include <new>

namespace culvert {

Reassembler::Place* Reassembler::find(const ReassemblyPlace& place) noexcept {
  if (place.index_ >= places_.size()) return nullptr;
  Place& found = *places_[place.index_];
  return found.generation == place.generation_ ? &found : nullptr;
}

Reassembler::Place* Reassembler::claim(ReassemblyPlace& place, Timestamp now, std::size_t& given_up) noexcept {
  const auto is_unused = [now](const auto& each) { return now - each->used >= limits::reassembly_time; };
  auto free = std::ranges::find_if(places_, is_unused);
  if (free == places_.end()) {
    if (places_.size() == limits::reassembling_peers_max) return nullptr;
    try {
      auto fresh = std::make_unique<Place>();
      fresh->memory = std::make_unique_for_overwrite<std::byte[]>(limits::reassembled_frames_max * memory_per_frame);
      places_.push_back(std::move(fresh));
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    free = places_.end() - 1;
  }
  Place& claimed = **free;
  ++claimed.generation;
  given_up += close(claimed, Timestamp::max());
  place.index_ = static_cast<std::uint32_t>(free - places_.begin());
  place.generation_ = claimed.generation;
  return &claimed;
}

std::size_t Reassembler::close(Place& place, Timestamp begun_by) noexcept {
  std::size_t count = 0;
  for (Frame& frame : place.frames) {
    if (!frame.is_open || frame.began > begun_by) continue;
    frame.is_open = false;
    ++count;
  }
  return count;
}

Reassembler::Outcome Reassembler::add(ReassemblyPlace& peer, const Fragment& fragment, Timestamp now) noexcept {
  Outcome outcome;
  const auto refuse = [&outcome](DropReason reason) {
    outcome.refused = reason;
    return outcome;
  };
  Place* place = find(peer);
  if (!place) place = claim(peer, now, outcome.given_up);
  if (!place) return refuse(DropReason::ReassemblyFull);
  place->used = now;
  outcome.given_up += close(*place, now - limits::reassembly_time);

  auto& frames = place->frames;
  auto found =
      std::ranges::find_if(frames, [&](const Frame& frame) { return frame.is_open && frame.number == fragment.frame; });
  if (found == frames.end()) {
    found = std::ranges::min_element(frames, {},
                                     [](const Frame& frame) { return frame.is_open ? frame.began : Timestamp::min(); });
    outcome.given_up += found->is_open;
    *found = {};
    found->is_open = true;
    found->total = static_cast<std::uint16_t>(fragment.total);
    found->number = fragment.frame;
    found->began = now;
  }
  Frame& frame = *found;
  if (frame.total != fragment.total) return refuse(DropReason::BadFragment);
  const std::size_t end = fragment.offset + fragment.piece.size();
  const auto pieces = std::span(frame.pieces).first(frame.piece_count);
  const auto overlaps = [&](const Range& range) { return fragment.offset < range.end && range.begin < end; };
  if (frame.piece_count == limits::fragments_max || std::ranges::any_of(pieces, overlaps)) {
    return refuse(DropReason::FragmentOverlap);
  }
  frame.is_congested |= fragment.is_congested;
  frame.pieces[frame.piece_count++] = {static_cast<std::uint16_t>(fragment.offset), static_cast<std::uint16_t>(end)};
  frame.received = static_cast<std::uint16_t>(frame.received + fragment.piece.size());
  const auto index = static_cast<std::size_t>(found - frames.begin());
  const ByteSpan memory(place->memory.get() + index * memory_per_frame + room, frame.total);
  copy_bytes(fragment.piece, memory.subspan(fragment.offset));
  // Pieces do not overlap, so as many bytes as the frame has are all of them.
  if (frame.received == frame.total) {
    frame.is_open = false;
    outcome.frame = memory;
    outcome.is_congested = frame.is_congested;
  }
  return outcome;
}

std::size_t Reassembler::release(ReassemblyPlace& peer) noexcept {
  Place* place = find(peer);
  peer = {};
  if (!place) return 0;
  ++place->generation;
  place->used = {};
  return close(*place, Timestamp::max());
}

}  // namespace culvert
