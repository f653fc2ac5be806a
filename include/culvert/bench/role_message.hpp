// What the two ends of a benchmark through a tunnel say to each other over a connection in it.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "culvert/base/bytes.hpp"
#include "culvert/base/endian.hpp"

namespace culvert {

/// What the far end does in a trial. One thing of a kind at a time.
enum class FarRole : std::uint8_t { TcpSend, TcpReceive, UdpSend, UdpReceive, AnswerRoundTrips };
inline constexpr std::size_t far_role_count = 5;

/// A connection begins with the token, which the far end answers with Ready. After that the near end says Start and
/// Stop, and the far end, of each start, Started, then Done or Failed, all with the role and trial of that start; or
/// Ended, once, before it closes the connection.
struct RoleMessage {
  enum class Kind : std::uint8_t { Ready, Start, Stop, Started, Done, Failed, Ended };

  Kind kind = Kind::Ready;
  FarRole role = FarRole::TcpSend;
  std::uint32_t trial = 0;  ///< which one a role belongs to: a number that the near end draws; LoadPacket::trial
  // Of Start.
  std::uint32_t payload = 0;    ///< bytes of UDP payload
  std::uint16_t flows = 1;      ///< or TCP streams
  bool has_timestamps = false;  ///< UDP packets to be sent
  std::uint16_t port = 0;       ///< of UdpSend: where the packets are for. Of Started: where the far end listens
  std::chrono::milliseconds warm_up{0};
  std::chrono::milliseconds duration{0};
  std::uint64_t rate = 0;  ///< of TcpSend bits a second, of UdpSend thousandths of packets a second; 0: any
  /// Of Stop to UdpReceive: how many were sent. Of Done: what came of it, in the order of the outcome's members;
  /// durations in nanoseconds.
  std::array<std::uint64_t, 5> numbers{};
  std::string text;  ///< of Failed and Ended: why, a printable line

  friend bool operator==(const RoleMessage&, const RoleMessage&) = default;
};

/// Bounds of what a Start may ask for.
inline constexpr unsigned far_flows_max = 64;
inline constexpr std::chrono::milliseconds far_duration_max{60'000};
inline constexpr std::uint64_t far_packet_rate_max = 1'000'000'000'000;  ///< thousandths a second

/// As it lies on the wire.
struct WireRoleMessage {
  std::byte kind;
  std::byte role;
  std::byte has_timestamps;
  std::byte text_size;
  Le16 flows;
  Le16 port;
  Le32 trial;
  Le32 payload;
  Le32 warm_up;
  Le32 duration;
  Le64 rate;
  std::array<Le64, 5> numbers;
  std::array<char, 184> text;
};
inline constexpr std::size_t role_message_size = 256;
static_assert(sizeof(WireRoleMessage) == role_message_size && alignof(WireRoleMessage) == 1);

/// A text that is too long is cut; what is not printable ASCII in it becomes '?'.
[[nodiscard]] WireRoleMessage to_wire(const RoleMessage& message) noexcept;
/// Nothing for an unknown kind or role, a Start beyond the bounds, or text that is not printable ASCII. Any bytes may
/// be given.
[[nodiscard]] std::optional<RoleMessage> parse_role_message(const WireRoleMessage& wire);

}  // namespace culvert
