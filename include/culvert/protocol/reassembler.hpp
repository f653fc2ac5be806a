// Frames that come in pieces are put together again, in memory of a fixed size.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "culvert/base/bytes.hpp"
#include "culvert/base/result.hpp"
#include "culvert/base/time.hpp"
#include "culvert/protocol/fragment.hpp"
#include "culvert/protocol/limits.hpp"

namespace culvert {

namespace limits {
/// A frame's pieces leave one after the other: what is missing after this time is lost.
inline constexpr auto reassembly_time = std::chrono::seconds(1);
/// Frames of one peer that are being put together; the oldest makes room for the next.
inline constexpr std::size_t reassembled_frames_max = 8;
/// Peers of one device that send pieces at the same time: 64 MiB of memory, if all of them do.
inline constexpr std::size_t reassembling_peers_max = 512;
}  // namespace limits

/// A peer's place in a Reassembler: where its frames grow. A value of the peer's, empty at first.
class ReassemblyPlace {
 private:
  friend class Reassembler;
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  std::uint32_t index_ = none;
  std::uint32_t generation_ = 0;  ///< of the place: another number says that somebody else has it now
};

/// All of a device's. Each peer has memory of its own, limits::reassembled_frames_max times
/// limits::fragmented_frame_max, from its first piece on until it has sent none for limits::reassembly_time and another
/// needs it: no peer can take from another. Memory is made when first needed and kept. One thread at a time.
class Reassembler {
 public:
  struct Outcome {
    /// Complete; empty: not yet. Lies here until the next add(), with limits::padding_multiple bytes of room in front
    /// of it and behind it.
    ByteSpan frame;
    bool is_congested = false;          ///< one of its pieces was (RFC 3168, section 5.3)
    std::size_t given_up = 0;           ///< frames that will not be completed, for age or for want of room
    std::optional<DropReason> refused;  ///< why the piece was not taken
  };

  /// Takes a piece that parse_fragment() accepted. FragmentOverlap when some of its bytes were here already, or there
  /// are too many pieces; BadFragment when it says another size of the frame than those before; ReassemblyFull when too
  /// many other peers have the memory.
  [[nodiscard]] Outcome add(ReassemblyPlace& place, const Fragment& fragment, Timestamp now) noexcept;

  /// Gives the place up, as when the peer goes; returns how many frames go with it.
  std::size_t release(ReassemblyPlace& place) noexcept;

  /// How many places there is memory for.
  [[nodiscard]] std::size_t place_count() const noexcept { return places_.size(); }

 private:
  /// In front of each frame; with it the IP header of an Ethernet frame is aligned to 4.
  static constexpr std::size_t room = limits::padding_multiple + envelope_header_size;
  static constexpr std::size_t memory_per_frame = room + limits::fragmented_frame_max + limits::padding_multiple;

  struct Range {
    std::uint16_t begin;
    std::uint16_t end;
  };
  struct Frame {
    bool is_open = false;
    bool is_congested = false;
    std::uint8_t piece_count = 0;
    std::uint16_t total = 0;
    std::uint16_t received = 0;
    std::uint32_t number = 0;
    Timestamp began;
    std::array<Range, limits::fragments_max> pieces;
  };
  struct Place {
    std::uint32_t generation = 0;
    Timestamp used;
    std::array<Frame, limits::reassembled_frames_max> frames;
    std::unique_ptr<std::byte[]> memory;
  };

  [[nodiscard]] Place* find(const ReassemblyPlace& place) noexcept;
  /// Adds to `given_up` the frames that go.
  [[nodiscard]] Place* claim(ReassemblyPlace& place, Timestamp now, std::size_t& given_up) noexcept;
  [[nodiscard]] static std::size_t close(Place& place, Timestamp begun_by) noexcept;

  std::vector<std::unique_ptr<Place>> places_;
};

}  // namespace culvert
