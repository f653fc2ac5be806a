// Decides which frames may leave as one, and turns the headers of the first into those of all.
#include "culvert/forwarding/coalescer.hpp"

#include <cstring>

#include "culvert/base/endian.hpp"
#include "culvert/forwarding/checksum.hpp"
#include "culvert/forwarding/ethernet_header.hpp"
#include "header_fields.hpp"

namespace culvert {

namespace {

constexpr std::size_t max_frame_length = 65535;

std::uint8_t byte_at(ByteView bytes, std::size_t offset) noexcept {
  return std::to_integer<std::uint8_t>(bytes[offset]);
}

bool are_equal(const std::byte* a, const std::byte* b, std::size_t size) noexcept {
  return std::memcmp(a, b, size) == 0;
}

std::uint64_t mixed(std::uint64_t hash, std::uint64_t word) noexcept {
  // 2^64 over the golden ratio, as in Fibonacci hashing.
  hash = (hash ^ word) * 0x9e3779b97f4a7c15;
  return hash ^ (hash >> 32);
}

}  // namespace

Coalescer::Coalescer(const CoalescerSettings& settings, GatheredFrameSink& out) noexcept
    : settings_(settings), out_(out) {
  open_.fill(none);
}

void Coalescer::put(ByteSpan frame) noexcept {
  if (group_count_ + tail_count_ == max_frames) flush();
  const Facts facts = facts_of(frame);
  const auto index = static_cast<std::uint16_t>(group_count_);
  if (facts.has_ports) {
    std::uint16_t& open = open_[flow_hash(frame, facts)];
    if (open != none && try_append(groups_[open], frame, facts)) {
      if (groups_[open].is_pushed || facts.payload_size < groups_[open].facts.payload_size) open = none;
      return;
    }
    open = facts.is_mergeable && !facts.is_pushed ? index : none;
  } else if (facts.is_ip) {
    close_flows_between(addresses_of(frame, facts));
  }
  groups_[index] = Group{.head = frame, .facts = facts, .length = static_cast<std::uint32_t>(frame.size())};
  ++group_count_;
}

void Coalescer::flush() noexcept {
  for (std::size_t i = 0; i < group_count_; ++i) {
    const Group& group = groups_[i];
    const VirtioNetHeader header = group.segments == 1 ? VirtioNetHeader{} : unite_headers(group);
    std::size_t pieces = 0;
    pieces_[pieces++] = group.head;
    for (std::uint16_t tail = group.first_tail; tail != none; tail = tails_[tail].next) {
      pieces_[pieces++] = tails_[tail].payload;
    }
    out_.put({header, std::span(pieces_).first(pieces)});
  }
  group_count_ = 0;
  tail_count_ = 0;
  open_.fill(none);
}

Coalescer::Facts Coalescer::facts_of(ByteView frame) const noexcept {
  Facts facts;
  EthernetHeader ethernet{.length = 0};
  if (settings_.is_ethernet) {
    const auto parsed = parse_ethernet_header(frame);
    if (!parsed) return facts;
    ethernet = *parsed;
  }
  if (frame.size() < ethernet.length + ipv4::header_size || frame.size() > max_frame_length) return facts;
  facts.ip = static_cast<std::uint16_t>(ethernet.length);
  const ByteView packet = frame.subspan(facts.ip);
  const unsigned version = byte_at(packet, 0) >> 4;
  if (settings_.is_ethernet && ethernet.type != (version == 4 ? ethertype::ipv4 : ethertype::ipv6)) return facts;

  if (version == 4) {
    facts.is_ip = true;
    facts.is_v4 = true;
    const std::size_t header_size = (byte_at(packet, 0) & 0xfU) * 4U;
    const std::uint16_t fragment = load<Be16>(&packet[ipv4::fragment]);
    if (header_size < ipv4::header_size || (fragment & ipv4::fragment_mask) != 0) return facts;
    facts.is_mergeable = header_size == ipv4::header_size && (fragment & ~ipv4::dont_fragment) == 0 &&
                         load<Be16>(&packet[ipv4::total_length]) == packet.size();
    facts.transport = static_cast<std::uint16_t>(facts.ip + header_size);
    read_transport(frame, byte_at(packet, ipv4::protocol), facts);
  } else if (version == 6 && packet.size() >= ipv6::header_size) {
    facts.is_ip = true;
    facts.is_mergeable = load<Be16>(&packet[ipv6::payload_length]) == packet.size() - ipv6::header_size;
    facts.transport = static_cast<std::uint16_t>(facts.ip + ipv6::header_size);
    read_transport(frame, byte_at(packet, ipv6::next_header), facts);
  }
  return facts;
}

/// Completes `facts`, where is_mergeable says so far whether the IP header allows it.
void Coalescer::read_transport(ByteView frame, std::uint8_t protocol, Facts& facts) const noexcept {
  facts.is_tcp = protocol == protocol_tcp;
  const std::size_t min_size = facts.is_tcp ? tcp::min_header_size : udp::header_size;
  facts.has_ports = (facts.is_tcp || protocol == protocol_udp) && frame.size() >= facts.transport + min_size;
  facts.is_mergeable = facts.is_mergeable && facts.has_ports;
  if (!facts.is_mergeable) return;

  const ByteView segment = frame.subspan(facts.transport);
  std::size_t header_size = udp::header_size;
  if (facts.is_tcp) {
    header_size = (byte_at(segment, tcp::data_offset) >> 4) * 4U;
    const std::uint8_t flags = byte_at(segment, tcp::flags);
    facts.is_pushed = (flags & tcp::psh) != 0;
    // The low half of the byte holds reserved bits and AE (RFC 9768), which no segment but an exceptional one carries.
    facts.is_mergeable = (facts.is_v4 ? settings_.tcp4 : settings_.tcp6) && (flags & ~tcp::psh) == tcp::ack &&
                         (byte_at(segment, tcp::data_offset) & 0xf) == 0 && header_size >= tcp::min_header_size;
  } else {
    facts.is_mergeable = settings_.udp && load<Be16>(&segment[udp::length]) == segment.size() &&
                         load<Be16>(&segment[udp::checksum]) != 0;
  }
  if (segment.size() <= header_size) facts.is_mergeable = false;
  if (!facts.is_mergeable) return;
  facts.payload = static_cast<std::uint16_t>(facts.transport + header_size);
  facts.payload_size = static_cast<std::uint16_t>(frame.size() - facts.payload);
}

ByteView Coalescer::addresses_of(ByteView frame, const Facts& facts) noexcept {
  const ByteView packet = frame.subspan(facts.ip);
  return facts.is_v4 ? packet.subspan(ipv4::addresses, ipv4::addresses_size)
                     : packet.subspan(ipv6::addresses, ipv6::addresses_size);
}

std::size_t Coalescer::flow_hash(ByteView frame, const Facts& facts) noexcept {
  std::uint64_t hash = load<Be32>(&frame[facts.transport]);
  for (ByteView rest = addresses_of(frame, facts); !rest.empty(); rest = rest.subspan(sizeof(Be64))) {
    hash = mixed(hash, load<Be64>(rest.data()));
  }
  return hash % max_flows;
}

bool Coalescer::try_append(Group& group, ByteView frame, const Facts& facts) noexcept {
  if (!is_next_of(group, frame, facts)) return false;
  // What is merged counts as verified on this host and gets a new checksum when it is forwarded: a wrong one must not.
  if (!group.is_verified && !has_right_checksums(group.head, group.facts)) return false;
  group.is_verified = true;
  if (!has_right_checksums(frame, facts)) return false;

  const auto index = static_cast<std::uint16_t>(tail_count_++);
  tails_[index] = Tail{.payload = frame.subspan(facts.payload)};
  (group.first_tail == none ? group.first_tail : tails_[group.last_tail].next) = index;
  group.last_tail = index;
  group.length += facts.payload_size;
  group.is_pushed = facts.is_pushed;
  ++group.segments;
  return true;
}

bool Coalescer::is_next_of(const Group& group, ByteView frame, const Facts& facts) noexcept {
  const Facts& head = group.facts;
  return facts.is_mergeable && facts.is_v4 == head.is_v4 && facts.is_tcp == head.is_tcp && facts.ip == head.ip &&
         facts.payload == head.payload && facts.payload_size <= head.payload_size &&
         group.length + facts.payload_size <= max_frame_length &&
         group.segments < (facts.is_tcp ? max_pieces : max_udp_segments) &&
         are_equal(frame.data(), group.head.data(), facts.ip) && has_equal_ip(group, frame) &&
         are_equal(&frame[facts.transport], &group.head[facts.transport], 4) &&
         (!facts.is_tcp || has_equal_tcp(group, frame));
}

bool Coalescer::has_equal_ip(const Group& group, ByteView frame) noexcept {
  const std::byte* head = &group.head[group.facts.ip];
  const std::byte* next = &frame[group.facts.ip];
  if (!group.facts.is_v4) {
    // The first word holds traffic class and flow label.
    return are_equal(head, next, ipv6::payload_length) && head[ipv6::hop_limit] == next[ipv6::hop_limit] &&
           are_equal(head + ipv6::addresses, next + ipv6::addresses, ipv6::addresses_size);
  }
  if (!are_equal(head, next, ipv4::total_length) ||
      !are_equal(head + ipv4::fragment, next + ipv4::fragment, ipv4::checksum - ipv4::fragment) ||
      !are_equal(head + ipv4::addresses, next + ipv4::addresses, ipv4::addresses_size)) {
    return false;
  }
  // RFC 6864, section 4: the ID of a packet that must not be fragmented means nothing.
  if ((load<Be16>(head + ipv4::fragment) & ipv4::dont_fragment) != 0) return true;
  const auto expected = static_cast<std::uint16_t>(load<Be16>(head + ipv4::id) + group.segments);
  return load<Be16>(next + ipv4::id) == expected;
}

bool Coalescer::has_equal_tcp(const Group& group, ByteView frame) noexcept {
  const std::size_t header_size = group.facts.payload - group.facts.transport;
  const std::byte* head = &group.head[group.facts.transport];
  const std::byte* next = &frame[group.facts.transport];
  const std::size_t payload_so_far = group.length - group.facts.payload;
  const auto expected = static_cast<std::uint32_t>(load<Be32>(head + tcp::sequence) + payload_so_far);
  return load<Be32>(next + tcp::sequence) == expected &&
         are_equal(head + tcp::acknowledgement, next + tcp::acknowledgement, 4) &&
         are_equal(head + tcp::window, next + tcp::window, 2) &&
         are_equal(head + tcp::urgent_pointer, next + tcp::urgent_pointer, header_size - tcp::urgent_pointer);
}

bool Coalescer::has_right_checksums(ByteView frame, const Facts& facts) noexcept {
  constexpr std::uint16_t right = 0xffff;
  if (facts.is_v4) {
    InternetSum sum;
    sum.add(frame.subspan(facts.ip, ipv4::header_size));
    if (sum.folded() != right) return false;
  }
  const ByteView segment = frame.subspan(facts.transport);
  InternetSum sum = pseudo_header_sum(addresses_of(frame, facts), facts.is_tcp ? protocol_tcp : protocol_udp,
                                      static_cast<std::uint32_t>(segment.size()));
  sum.add(segment);
  return sum.folded() == right;
}

void Coalescer::close_flows_between(ByteView addresses) noexcept {
  for (std::uint16_t& open : open_) {
    if (open == none) continue;
    const Group& group = groups_[open];
    const ByteView others = addresses_of(group.head, group.facts);
    if (others.size() == addresses.size() && are_equal(others.data(), addresses.data(), addresses.size())) open = none;
  }
}

VirtioNetHeader Coalescer::unite_headers(const Group& group) noexcept {
  const Facts& facts = group.facts;
  std::byte* ip = &group.head[group.facts.ip];
  std::byte* transport = &group.head[facts.transport];
  const auto transport_size = static_cast<std::uint16_t>(group.length - facts.transport);
  if (facts.is_v4) {
    store<Be16>(ip + ipv4::total_length, static_cast<std::uint16_t>(group.length - facts.ip));
    store<Be16>(ip + ipv4::checksum, std::uint16_t{0});
    InternetSum sum;
    sum.add({ip, ipv4::header_size});
    store<Be16>(ip + ipv4::checksum, sum.checksum());
  } else {
    store<Be16>(ip + ipv6::payload_length, transport_size);
  }
  if (!facts.is_tcp) {
    store<Be16>(transport + udp::length, transport_size);
  } else if (group.is_pushed) {
    transport[tcp::flags] |= std::byte{tcp::psh};
  }
  const std::size_t checksum_offset = facts.is_tcp ? tcp::checksum : udp::checksum;
  const std::uint8_t protocol = facts.is_tcp ? protocol_tcp : protocol_udp;
  store<Be16>(transport + checksum_offset,
              pseudo_header_sum(addresses_of(group.head, facts), protocol, transport_size).folded());

  const std::uint8_t tcp_type = facts.is_v4 ? virtio_net::gso_tcp4 : virtio_net::gso_tcp6;
  return {.flags = virtio_net::needs_checksum,
          .gso_type = facts.is_tcp ? tcp_type : virtio_net::gso_udp_l4,
          .header_length = facts.payload,
          .gso_size = facts.payload_size,
          .checksum_start = facts.transport,
          .checksum_offset = static_cast<std::uint16_t>(checksum_offset)};
}

}  // namespace culvert
