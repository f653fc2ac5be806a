// Any packet through parse_ip_header and, with the first byte as outer traffic class, through decapsulate_ecn.
#include <vector>

#include "culvert/base/endian.hpp"
#include "culvert/forwarding/ip_header.hpp"
#include "require.hpp"

namespace culvert {
namespace {

/// The one's complement sum over the fixed part of an IPv4 header, which a checksum update keeps.
std::uint32_t sum_of(ByteView packet) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < 20; i += 2) sum += load<Be16>(&packet[i]);
  return sum % 0xffff;
}

void run(std::uint8_t outer, ByteSpan packet) {
  const auto before = parse_ip_header(packet);
  if (before.has_error()) {
    require(before.error() == DropReason::FrameHeader, "the reason is FrameHeader");
    return;
  }
  require(before->length <= packet.size(), "the length is inside the packet");
  require(before->length >= (before->source.is_v4() ? 20U : 40U), "the length holds the header");
  require(before->source.family() == before->destination.family(), "both addresses are of one family");
  const std::uint32_t sum = sum_of(packet);

  const auto verdict = decapsulate_ecn(outer, packet);
  const auto after = parse_ip_header(packet);
  require(after.has_value(), "the packet stays one");
  require(after->source == before->source && after->destination == before->destination, "addresses stay");
  require(after->length == before->length, "the length stays");
  require((after->traffic_class & 0xfc) == (before->traffic_class & 0xfc), "DSCP stays");
  if (before->source.is_v4()) require(sum_of(packet) == sum, "the checksum is as right as before");
  if (verdict.has_error()) {
    require(verdict.error() == DropReason::EcnMismatch, "the reason is EcnMismatch");
    require(after->traffic_class == before->traffic_class, "a refused packet stays as it is");
  } else if (ecn_of(outer) == Ecn::Ce) {
    require(ecn_of(after->traffic_class) == Ecn::Ce, "a congestion mark is never lost");
  }
}

}  // namespace
}  // namespace culvert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> packet(bytes + 1, bytes + size);
  culvert::run(data[0], packet);
  return 0;
}
