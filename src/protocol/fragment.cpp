// Cutting frames into pieces, and what is written in front of each.
#include "culvert/protocol/fragment.hpp"

namespace culvert {

Verdict<Fragment> parse_fragment(ByteView body) noexcept {
  if (body.size() <= sizeof(FragmentHeader)) return DropReason::BadFragment;
  const auto header = load<FragmentHeader>(body.data());
  const ByteView piece = body.subspan(sizeof(FragmentHeader));
  const Fragment fragment{header.frame, header.offset, header.total, piece, false};
  if (fragment.total > limits::fragmented_frame_max || fragment.offset + piece.size() > fragment.total) {
    return DropReason::BadFragment;
  }
  return fragment;
}

void write_fragment_header(std::byte* to, std::uint32_t frame, std::size_t offset, std::size_t total) noexcept {
  FragmentHeader header;
  header.frame = frame;
  header.offset = static_cast<std::uint16_t>(offset);
  header.total = static_cast<std::uint16_t>(total);
  std::memcpy(to, &header, sizeof header);
}

std::optional<FragmentPlan> FragmentPlan::of(std::size_t frame_size, std::size_t plaintext_max) noexcept {
  if (frame_size == 0 || frame_size > limits::fragmented_frame_max || plaintext_max <= fragment_overhead) return {};
  const std::size_t piece_max = plaintext_max - fragment_overhead;
  const std::size_t count = (frame_size + piece_max - 1) / piece_max;
  if (count > limits::fragments_max) return {};
  return FragmentPlan(frame_size, (frame_size + count - 1) / count);
}

}  // namespace culvert
