// Any virtio net header with any frame through Segmenter: what comes out lies inside the frame, holds the payload once
// and in order, and has right lengths and checksums.
#include <algorithm>
#include <vector>

#include "culvert/forwarding/ip_header.hpp"
#include "culvert/forwarding/segmenter.hpp"
#include "require.hpp"

namespace culvert {
namespace {

void require_right_v4_checksum(ByteView packet) {
  InternetSum sum;
  sum.add(packet.first((std::to_integer<std::size_t>(packet[0]) & 0xf) * 4));
  require(sum.folded() == 0xffff, "the IPv4 checksum is right");
}

/// Of a super-frame without a routing header, whose field held the sum of its own pseudo-header.
void require_right_checksum(ByteView packet, std::size_t transport, bool is_tcp) {
  const bool is_v4 = (packet[0] >> 4) == std::byte{4};
  const ByteView addresses = is_v4 ? packet.subspan(12, 8) : packet.subspan(8, 32);
  const ByteView segment = packet.subspan(transport);
  InternetSum sum = pseudo_header_sum(addresses, is_tcp ? 6 : 17, static_cast<std::uint32_t>(segment.size()));
  sum.add(segment);
  require(sum.folded() == 0xffff, "the transport checksum is right");
  require(is_tcp || load<Be16>(&segment[6]) != 0, "a UDP checksum is never zero");
}

void run(std::size_t l2_length, const VirtioNetHeader& header, ByteSpan frame) {
  // The kernel's sum is believed; here it is put right, so that what follows from it can be judged.
  const std::size_t start = header.checksum_start;
  const bool is_super = header.gso_type != virtio_net::gso_none;
  const bool is_tcp = header.checksum_offset == 16;
  if (is_super && start >= l2_length + 40 && frame.size() >= start + 20) {
    const bool is_v4 = (frame[l2_length] >> 4) == std::byte{4};
    const ByteView addresses = frame.subspan(l2_length + (is_v4 ? 12 : 8), is_v4 ? 8 : 32);
    const auto size = static_cast<std::uint32_t>(frame.size() - start);
    store<Be16>(&frame[start + (is_tcp ? 16 : 6)], pseudo_header_sum(addresses, is_tcp ? 6 : 17, size).folded());
  }
  const std::vector<std::byte> before(frame.begin(), frame.end());

  Segmenter segmenter;
  const auto verdict = segmenter.begin(header, frame, l2_length);
  if (verdict.has_error()) {
    require(verdict.error() == DropReason::FrameHeader || verdict.error() == DropReason::OffloadHeader, "the reason");
    require(segmenter.count() == 0 && segmenter.next().empty(), "there is nothing to yield");
    require(std::ranges::equal(frame, before), "a refused frame stays as it is");
    return;
  }
  require(segmenter.count() >= 1 && segmenter.count() <= std::max<std::size_t>(1, frame.size()), "the count");
  if (!is_super) {
    const ByteSpan whole = segmenter.next();
    require(whole.data() == frame.data() && whole.size() == frame.size(), "the frame is yielded whole");
    require(segmenter.next().empty(), "there is one frame");
    return;
  }

  const std::size_t header_size = start + (is_tcp ? (std::to_integer<std::size_t>(before[start + 12]) >> 4) * 4 : 8);
  std::vector<std::byte> payload;
  for (std::size_t i = 0; i < segmenter.count(); ++i) {
    const ByteSpan segment = segmenter.next();
    require(segment.data() >= frame.data(), "a segment begins in the frame");
    require(segment.data() + segment.size() <= frame.data() + frame.size(), "a segment ends in the frame");
    require(segment.size() >= header_size && segment.size() <= header_size + header.gso_size, "its size");
    const ByteView packet = segment.subspan(l2_length);
    const auto parsed = parse_ip_header(packet);
    require(parsed.has_value() && parsed->length == packet.size(), "its IP header says how long it is");
    if (parsed->source.is_v4()) require_right_v4_checksum(packet);
    if (start >= l2_length + 40) require_right_checksum(packet, start - l2_length, is_tcp);
    payload.insert(payload.end(), segment.begin() + static_cast<std::ptrdiff_t>(header_size), segment.end());
    // As by a caller who encrypts in place.
    std::ranges::fill(segment, std::byte{0xee});
  }
  require(segmenter.next().empty(), "there are as many as was said");
  require(std::ranges::equal(payload, ByteView(before).subspan(header_size)), "the payload is whole and in order");
}

}  // namespace
}  // namespace culvert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace culvert;
  static constexpr std::size_t l2_lengths[] = {0, 14, 18, 22};
  if (size < 1 + virtio_net_header_size) return 0;
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  const VirtioNetHeader header = load_virtio_net_header(bytes + 1);
  std::vector<std::byte> frame(bytes + 1 + virtio_net_header_size, bytes + size);
  run(l2_lengths[data[0] % 4], header, frame);
  return 0;
}
