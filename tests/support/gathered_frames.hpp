// Records the writes of a Coalescer, and takes them apart again as a receiver would.
#pragma once

#include <vector>

#include "culvert/forwarding/coalescer.hpp"
#include "culvert/forwarding/ethernet_header.hpp"
#include "culvert/forwarding/segmenter.hpp"

namespace culvert {

class GatheredFrames final : public GatheredFrameSink {
 public:
  struct Write {
    VirtioNetHeader header;
    std::size_t pieces = 0;
    std::vector<std::byte> frame;
  };

  void put(const GatheredFrame& frame) noexcept override {
    Write& write = writes.emplace_back();
    write.header = frame.header;
    write.pieces = frame.pieces.size();
    for (const ByteView piece : frame.pieces) write.frame.insert(write.frame.end(), piece.begin(), piece.end());
  }

  /// The frames that `write` stands for; none when it is not valid.
  static std::vector<std::vector<std::byte>> segmented(Write write, bool is_ethernet) {
    std::vector<std::vector<std::byte>> frames;
    const auto ethernet = parse_ethernet_header(write.frame);
    if (is_ethernet && !ethernet) return frames;
    const std::size_t l2_length = is_ethernet ? ethernet->length : 0;
    Segmenter segmenter;
    if (!segmenter.begin(write.header, write.frame, l2_length)) return frames;
    for (ByteSpan frame = segmenter.next(); !frame.empty(); frame = segmenter.next()) {
      frames.emplace_back(frame.begin(), frame.end());
    }
    return frames;
  }

  std::vector<Write> writes;
};

}  // namespace culvert
