// Cuts a super-frame that the kernel left unsegmented into the frames it stands for (TSO and USO in user space).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "culvert/base/bytes.hpp"
#include "culvert/base/result.hpp"
#include "culvert/base/virtio_net_header.hpp"
#include "culvert/forwarding/checksum.hpp"

namespace culvert {

/// Yields the frames one by one out of the memory of the super-frame, without copying payload:
///
///     before   | headers | payload 0 | payload 1 | payload 2 |
///     frame 0  [ headers | payload 0 ]
///     frame 1      ...   [ headers   | payload 1 ]
///
/// The headers of each frame but the first are built directly in front of its payload, over the end of the frame
/// before. One object serves any number of super-frames, one after the other; it allocates nothing.
///
///     if (const auto verdict = segmenter.begin(header, frame, 0); !verdict) return drops.count(verdict.error());
///     for (ByteSpan next = segmenter.next(); !next.empty(); next = segmenter.next()) engine.on_frame(next);
class Segmenter {
 public:
  /// Headers of a super-frame, layer 2 included, that are longer than this are refused.
  static constexpr std::size_t max_header_length = 256;

  /// Takes up `frame`, which starts with `l2_length` bytes of layer 2 header (0 on a TUN device) and was read with
  /// `header` in front. Believes of `header` only what fits the packet's own headers: never header_length.
  /// `frame` stays the caller's and is to stay where it is until the last next(). FrameHeader when the IP header of a
  /// super-frame does not fit; OffloadHeader when `header` does not fit the frame, or asks for what was not offered to
  /// the kernel (UFO, tunnels, AccECN). After an error there is nothing to yield.
  [[nodiscard]] Verdict<void> begin(const VirtioNetHeader& header, ByteSpan frame, std::size_t l2_length) noexcept;

  /// The next frame, complete with lengths and checksums, layer 2 header in front; empty after the last. The caller is
  /// done with the frame before the next call, may change the bytes in it, and leaves those behind it alone. Reads each
  /// byte of payload once, to sum it.
  [[nodiscard]] ByteSpan next() noexcept;

  /// Makes frames of at most `size` bytes, layer 2 included, of a TCP super-frame whose frames are larger: for a path
  /// that carries less than the kernel thought. After begin() and at most one next(), whose frame was not changed and
  /// comes anew. False, and nothing is changed, for a frame that is none of TCP's several, or whose headers leave no
  /// room.
  [[nodiscard]] bool cut_to(std::size_t size) noexcept;

  /// How many frames begin() found: 1 for a frame that is none of several.
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  /// Bytes of all of them together, headers included. After begin().
  [[nodiscard]] std::size_t size() const noexcept {
    return kind_ == Kind::Whole ? frame_.size() : frame_.size() + (count_ - 1) * payload_;
  }

 private:
  enum class Kind : std::uint8_t { Whole, Tcp, Udp };

  [[nodiscard]] Verdict<void> complete_checksum(const VirtioNetHeader& header, std::size_t l2_length) noexcept;
  [[nodiscard]] Verdict<void> parse_v4() noexcept;
  [[nodiscard]] Verdict<void> parse_v6() noexcept;
  [[nodiscard]] Verdict<void> parse_transport(const VirtioNetHeader& header) noexcept;
  void prepare_template() noexcept;
  void write_headers(ByteSpan segment, bool is_last) noexcept;

  ByteSpan frame_;
  std::size_t index_ = 0;
  std::size_t count_ = 0;
  Kind kind_ = Kind::Whole;
  bool is_v4_ = false;
  std::uint8_t tcp_flags_ = 0;
  std::uint16_t ip_id_ = 0;
  std::uint32_t tcp_sequence_ = 0;
  // Offsets from the start of a frame.
  std::size_t ip_ = 0;
  std::size_t transport_ = 0;
  std::size_t payload_ = 0;
  std::size_t gso_size_ = 0;
  InternetSum ip_sum_;         ///< over what is the same in the IPv4 header of each frame
  InternetSum transport_sum_;  ///< likewise over pseudo-header and transport header
  std::array<std::byte, max_header_length> template_;
};

}  // namespace culvert
