// Reading what a trial's packets start with.
#include "culvert/bench/load_packet.hpp"

#include <cassert>
#include <cstring>

namespace culvert {

namespace {

constexpr std::size_t udp_header = 8;
constexpr std::size_t ip_header(Family family) noexcept {
  return family == Family::V4 ? 20 : 40;
}

static_assert(udp_packet_min == ip_header(Family::V6) + udp_header + sizeof(LoadPacket));

}  // namespace

std::optional<LoadPacket> LoadPacket::parse(ByteView payload) noexcept {
  LoadPacket packet;
  if (payload.size() < sizeof packet) return std::nullopt;
  std::memcpy(&packet, payload.data(), sizeof packet);
  if (packet.magic != magic_value) return std::nullopt;
  return packet;
}

std::size_t udp_payload_of(std::size_t packet_size, Family family) noexcept {
  assert(packet_size >= udp_packet_min);
  return packet_size - ip_header(family) - udp_header;
}

}  // namespace culvert
