// The bytes of messages between the two ends of a benchmark.
#include "culvert/bench/role_message.hpp"

#include <algorithm>
#include <functional>

#include "culvert/bench/load_packet.hpp"

namespace culvert {

namespace {

bool is_printable(char c) noexcept {
  return c >= ' ' && c <= '~';
}

constexpr std::uint32_t payload_max = 65535 - 8;

bool is_within_bounds(const RoleMessage& message) noexcept {
  const bool is_udp = message.role != FarRole::TcpSend && message.role != FarRole::TcpReceive;
  const bool is_udp_sender = message.role == FarRole::UdpSend;
  return message.flows >= 1 && message.flows <= far_flows_max && message.warm_up <= far_duration_max &&
         message.duration.count() > 0 && message.duration <= far_duration_max &&
         (!is_udp || (message.payload >= sizeof(LoadPacket) && message.payload <= payload_max)) &&
         (!is_udp_sender || (message.port != 0 && message.rate <= far_packet_rate_max));
}

std::uint32_t count_of(std::chrono::milliseconds time) noexcept {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(time.count(), 0, UINT32_MAX));
}

}  // namespace

WireRoleMessage to_wire(const RoleMessage& message) noexcept {
  WireRoleMessage wire{};
  wire.kind = static_cast<std::byte>(message.kind);
  wire.role = static_cast<std::byte>(message.role);
  wire.has_timestamps = static_cast<std::byte>(message.has_timestamps);
  wire.flows = message.flows;
  wire.port = message.port;
  wire.trial = message.trial;
  wire.payload = message.payload;
  wire.warm_up = count_of(message.warm_up);
  wire.duration = count_of(message.duration);
  wire.rate = message.rate;
  std::ranges::copy(message.numbers, wire.numbers.begin());
  const std::size_t text_size = message.text.copy(wire.text.data(), wire.text.size());
  wire.text_size = static_cast<std::byte>(text_size);
  std::replace_if(wire.text.begin(), wire.text.begin() + text_size, std::not_fn(is_printable), '?');
  return wire;
}

std::optional<RoleMessage> parse_role_message(const WireRoleMessage& wire) {
  RoleMessage message;
  message.kind = static_cast<RoleMessage::Kind>(wire.kind);
  message.role = static_cast<FarRole>(wire.role);
  if (message.kind > RoleMessage::Kind::Ended || std::to_integer<std::size_t>(wire.role) >= far_role_count) return {};
  message.has_timestamps = wire.has_timestamps != std::byte{0};
  message.flows = wire.flows;
  message.port = wire.port;
  message.trial = wire.trial;
  message.payload = wire.payload;
  message.warm_up = std::chrono::milliseconds(wire.warm_up);
  message.duration = std::chrono::milliseconds(wire.duration);
  message.rate = wire.rate;
  std::ranges::copy(wire.numbers, message.numbers.begin());
  const auto size = std::to_integer<std::size_t>(wire.text_size);
  if (size > wire.text.size()) return {};
  message.text.assign(wire.text.data(), size);
  if (!std::ranges::all_of(message.text, is_printable)) return {};
  if (message.kind == RoleMessage::Kind::Start && !is_within_bounds(message)) return {};
  return message;
}

}  // namespace culvert
