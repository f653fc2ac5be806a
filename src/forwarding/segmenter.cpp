// Checks a super-frame against what the device says of it and rebuilds the headers of each segment.
#include "culvert/forwarding/segmenter.hpp"

#include <algorithm>

#include "culvert/base/endian.hpp"
#include "header_fields.hpp"

namespace culvert {

namespace {

/// Extension headers that may stand before TCP or UDP in a packet that can be segmented (RFC 8200, section 4.1).
constexpr bool is_extension(std::uint8_t next_header) noexcept {
  return next_header == 0 || next_header == 43 || next_header == 60;
}

std::uint8_t byte_at(ByteView bytes, std::size_t offset) noexcept {
  return std::to_integer<std::uint8_t>(bytes[offset]);
}

}  // namespace

Verdict<void> Segmenter::begin(const VirtioNetHeader& header, ByteSpan frame, std::size_t l2_length) noexcept {
  frame_ = frame;
  kind_ = Kind::Whole;
  index_ = 0;
  count_ = 0;
  if (frame.empty() || frame.size() < l2_length) return DropReason::FrameHeader;
  const bool needs_checksum = (header.flags & virtio_net::needs_checksum) != 0;
  if (header.gso_type == virtio_net::gso_none) {
    if (needs_checksum) {
      if (const auto verdict = complete_checksum(header, l2_length); !verdict) return verdict;
    }
    count_ = 1;
    return {};
  }

  switch (header.gso_type) {
    case virtio_net::gso_tcp4:
    case virtio_net::gso_tcp4 | virtio_net::gso_ecn:
    case virtio_net::gso_tcp6:
    case virtio_net::gso_tcp6 | virtio_net::gso_ecn:
      kind_ = Kind::Tcp;
      break;
    case virtio_net::gso_udp_l4:
      kind_ = Kind::Udp;
      break;
    default:
      return DropReason::OffloadHeader;
  }
  if (!needs_checksum || header.gso_size == 0) return DropReason::OffloadHeader;

  ip_ = l2_length;
  if (frame_.size() == ip_) return DropReason::FrameHeader;
  const unsigned version = byte_at(frame_, ip_) >> 4;
  if (version != 4 && version != 6) return DropReason::FrameHeader;
  is_v4_ = version == 4;
  if (kind_ == Kind::Tcp && is_v4_ != ((header.gso_type & ~virtio_net::gso_ecn) == virtio_net::gso_tcp4)) {
    return DropReason::OffloadHeader;
  }
  if (const auto verdict = is_v4_ ? parse_v4() : parse_v6(); !verdict) return verdict;
  if (const auto verdict = parse_transport(header); !verdict) return verdict;

  gso_size_ = header.gso_size;
  const std::size_t payload_size = frame_.size() - payload_;
  count_ = std::max<std::size_t>(1, (payload_size + gso_size_ - 1) / gso_size_);
  prepare_template();
  return {};
}

/// CHECKSUM_PARTIAL (include/linux/skbuff.h): the field holds a sum that is to go into the checksum, usually that of
/// the pseudo-header. Its place may lie anywhere behind layer 2, as in an inner packet of another tunnel.
Verdict<void> Segmenter::complete_checksum(const VirtioNetHeader& header, std::size_t l2_length) noexcept {
  const std::size_t start = header.checksum_start;
  const std::size_t field = start + header.checksum_offset;
  if (start < l2_length || field + sizeof(Be16) > frame_.size()) return DropReason::OffloadHeader;
  InternetSum sum;
  sum.add(frame_.subspan(start));
  const bool is_udp = header.checksum_offset == udp::checksum;
  store<Be16>(&frame_[field], is_udp ? sum.udp_checksum() : sum.checksum());
  return {};
}

Verdict<void> Segmenter::parse_v4() noexcept {
  const ByteView packet = frame_.subspan(ip_);
  if (packet.size() < ipv4::header_size) return DropReason::FrameHeader;
  const std::size_t header_size = (byte_at(packet, 0) & 0xfU) * 4U;
  if (header_size < ipv4::header_size || header_size > packet.size()) return DropReason::FrameHeader;
  if (load<Be16>(&packet[ipv4::total_length]) != packet.size()) return DropReason::FrameHeader;
  if ((load<Be16>(&packet[ipv4::fragment]) & ipv4::fragment_mask) != 0) return DropReason::FrameHeader;
  const std::uint8_t protocol = kind_ == Kind::Tcp ? protocol_tcp : protocol_udp;
  if (byte_at(packet, ipv4::protocol) != protocol) return DropReason::OffloadHeader;
  ip_id_ = load<Be16>(&packet[ipv4::id]);
  transport_ = ip_ + header_size;
  return {};
}

Verdict<void> Segmenter::parse_v6() noexcept {
  const ByteView packet = frame_.subspan(ip_);
  if (packet.size() < ipv6::header_size) return DropReason::FrameHeader;
  if (ipv6::header_size + load<Be16>(&packet[ipv6::payload_length]) != packet.size()) return DropReason::FrameHeader;
  std::uint8_t next_header = byte_at(packet, ipv6::next_header);
  std::size_t offset = ipv6::header_size;
  while (is_extension(next_header) && offset <= max_header_length) {
    if (packet.size() < offset + 8) return DropReason::FrameHeader;
    next_header = byte_at(packet, offset);
    offset += 8U + byte_at(packet, offset + 1) * 8U;
  }
  if (next_header != (kind_ == Kind::Tcp ? protocol_tcp : protocol_udp)) return DropReason::OffloadHeader;
  transport_ = ip_ + offset;
  return {};
}

Verdict<void> Segmenter::parse_transport(const VirtioNetHeader& header) noexcept {
  if (header.checksum_start != transport_) return DropReason::OffloadHeader;
  if (header.checksum_offset != (kind_ == Kind::Tcp ? tcp::checksum : udp::checksum)) return DropReason::OffloadHeader;
  const std::size_t min_size = kind_ == Kind::Tcp ? tcp::min_header_size : udp::header_size;
  if (frame_.size() < transport_ + min_size) return DropReason::OffloadHeader;
  const ByteView segment = frame_.subspan(transport_);
  std::size_t header_size = udp::header_size;
  if (kind_ == Kind::Tcp) {
    header_size = (byte_at(segment, tcp::data_offset) >> 4) * 4U;
    if (header_size < tcp::min_header_size || header_size > segment.size()) return DropReason::OffloadHeader;
    tcp_sequence_ = load<Be32>(&segment[tcp::sequence]);
    tcp_flags_ = byte_at(segment, tcp::flags);
  } else if (load<Be16>(&segment[udp::length]) != segment.size()) {
    return DropReason::OffloadHeader;
  }
  payload_ = transport_ + header_size;
  if (payload_ > max_header_length) return DropReason::OffloadHeader;
  return {};
}

/// Sets aside the headers, with every field zero that write_headers() fills in, and their sums. The slide may write
/// over the headers themselves when gso_size is smaller than they are.
void Segmenter::prepare_template() noexcept {
  const ByteSpan headers = ByteSpan(template_).first(payload_);
  copy_bytes(frame_.first(payload_), headers);
  std::byte* ip = &headers[ip_];
  std::byte* transport = &headers[transport_];
  const std::size_t checksum_offset = kind_ == Kind::Tcp ? tcp::checksum : udp::checksum;
  const std::uint16_t pseudo_sum = load<Be16>(transport + checksum_offset);

  ip_sum_ = {};
  if (is_v4_) {
    store<Be16>(ip + ipv4::total_length, std::uint16_t{0});
    store<Be16>(ip + ipv4::id, std::uint16_t{0});
    store<Be16>(ip + ipv4::checksum, std::uint16_t{0});
    ip_sum_.add(headers.subspan(ip_, transport_ - ip_));
  } else {
    store<Be16>(ip + ipv6::payload_length, std::uint16_t{0});
  }
  if (kind_ == Kind::Tcp) {
    store<Be32>(transport + tcp::sequence, 0U);
    transport[tcp::flags] = std::byte{0};
  } else {
    store<Be16>(transport + udp::length, std::uint16_t{0});
  }
  store<Be16>(transport + checksum_offset, std::uint16_t{0});
  // The kernel's pseudo-header sum knows the final destination behind a routing header; only its length changes.
  transport_sum_ = {};
  transport_sum_.add(pseudo_sum);
  transport_sum_.subtract(static_cast<std::uint16_t>(frame_.size() - transport_));
  transport_sum_.add(headers.subspan(transport_));
}

bool Segmenter::cut_to(std::size_t size) noexcept {
  if (kind_ != Kind::Tcp || count_ == 0 || size <= payload_) return false;
  gso_size_ = std::min(gso_size_, size - payload_);
  const std::size_t payload_size = frame_.size() - payload_;
  count_ = std::max<std::size_t>(1, (payload_size + gso_size_ - 1) / gso_size_);
  index_ = 0;
  return true;
}

ByteSpan Segmenter::next() noexcept {
  if (index_ == count_) return {};
  if (kind_ == Kind::Whole) {
    index_ = count_;
    return frame_;
  }
  const std::size_t start = index_ * gso_size_;
  const std::size_t payload_size = std::min(gso_size_, frame_.size() - payload_ - start);
  const ByteSpan segment = frame_.subspan(start, payload_ + payload_size);
  if (index_ != 0) copy_bytes(ByteView(template_).first(payload_), segment);
  write_headers(segment, index_ + 1 == count_);
  ++index_;
  return segment;
}

void Segmenter::write_headers(ByteSpan segment, bool is_last) noexcept {
  std::byte* ip = &segment[ip_];
  std::byte* transport = &segment[transport_];
  const auto transport_size = static_cast<std::uint16_t>(segment.size() - transport_);
  if (is_v4_) {
    const auto total_length = static_cast<std::uint16_t>(segment.size() - ip_);
    const auto id = static_cast<std::uint16_t>(ip_id_ + index_);
    InternetSum sum = ip_sum_;
    sum.add(total_length);
    sum.add(id);
    store<Be16>(ip + ipv4::total_length, total_length);
    store<Be16>(ip + ipv4::id, id);
    store<Be16>(ip + ipv4::checksum, sum.checksum());
  } else {
    store<Be16>(ip + ipv6::payload_length, static_cast<std::uint16_t>(segment.size() - ip_ - ipv6::header_size));
  }

  InternetSum sum = transport_sum_;
  sum.add(transport_size);
  sum.add(segment.subspan(payload_));
  if (kind_ == Kind::Udp) {
    sum.add(transport_size);
    store<Be16>(transport + udp::length, transport_size);
    store<Be16>(transport + udp::checksum, sum.udp_checksum());
    return;
  }
  const auto sequence = static_cast<std::uint32_t>(tcp_sequence_ + index_ * gso_size_);
  std::uint8_t flags = tcp_flags_;
  if (index_ != 0) flags = static_cast<std::uint8_t>(flags & ~tcp::cwr);
  if (!is_last) flags = static_cast<std::uint8_t>(flags & ~(tcp::fin | tcp::psh));
  sum.add(sequence);
  sum.add(std::uint16_t{flags});
  store<Be32>(transport + tcp::sequence, sequence);
  transport[tcp::flags] = std::byte{flags};
  store<Be16>(transport + tcp::checksum, sum.checksum());
}

}  // namespace culvert
