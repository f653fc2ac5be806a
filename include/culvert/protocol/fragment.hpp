// A frame larger than the path carries goes in pieces, each sealed alone (docs/protocol.md).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "culvert/base/bytes.hpp"
#include "culvert/base/endian.hpp"
#include "culvert/base/result.hpp"
#include "culvert/protocol/envelope.hpp"

namespace culvert {

namespace limits {
/// Longer frames do not go in pieces: some beyond what jumbo frames have.
inline constexpr std::size_t fragmented_frame_max = 16384;
/// Pieces of one frame: enough for that size on a path of 1280 bytes.
inline constexpr std::size_t fragments_max = 16;
}  // namespace limits

/// What is in front of each piece, at the beginning of the envelope's body.
struct FragmentHeader {
  Le32 frame;   ///< which frame of the sender's: any number not used lately
  Le16 offset;  ///< of this piece in the frame
  Le16 total;   ///< bytes of the frame
};
static_assert(sizeof(FragmentHeader) == 8 && alignof(FragmentHeader) == 1);

/// In front of a piece, envelope included.
inline constexpr std::size_t fragment_overhead = envelope_header_size + sizeof(FragmentHeader);

struct Fragment {
  std::uint32_t frame;
  std::size_t offset;
  std::size_t total;
  ByteView piece;             ///< lies in the body
  bool is_congested = false;  ///< the datagram it came in was marked so on its way; for the caller to say
};

/// Reads the body of an envelope. BadFragment when there is no piece, when it ends behind the frame, or when the frame
/// is larger than limits::fragmented_frame_max.
[[nodiscard]] Verdict<Fragment> parse_fragment(ByteView body) noexcept;

/// Writes the body's header at `to`.
void write_fragment_header(std::byte* to, std::uint32_t frame, std::size_t offset, std::size_t total) noexcept;

/// How a frame is cut: into as few pieces as can be, all of one size but for the last.
class FragmentPlan {
 public:
  /// `plaintext_max`: what one sealed message may hold on this path. Nothing when the frame is larger than
  /// limits::fragmented_frame_max or would make too many pieces.
  [[nodiscard]] static std::optional<FragmentPlan> of(std::size_t frame_size, std::size_t plaintext_max) noexcept;

  [[nodiscard]] std::size_t count() const noexcept { return (frame_size_ + piece_size_ - 1) / piece_size_; }
  [[nodiscard]] std::size_t offset(std::size_t piece) const noexcept { return piece * piece_size_; }
  [[nodiscard]] std::size_t size(std::size_t piece) const noexcept {
    return std::min(piece_size_, frame_size_ - offset(piece));
  }

 private:
  FragmentPlan(std::size_t frame_size, std::size_t piece_size) noexcept
      : frame_size_(frame_size), piece_size_(piece_size) {}
  std::size_t frame_size_;
  std::size_t piece_size_;
};

}  // namespace culvert
