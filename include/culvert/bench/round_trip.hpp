// The two roles of a measurement of round trips: who asks, and who answers.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <vector>

#include "culvert/bench/traffic.hpp"
#include "culvert/bench/trial.hpp"

namespace culvert {

struct RoundTripAsking {
  std::uint32_t trial = 0;  ///< LoadPacket::trial
  std::size_t payload = 0;  ///< bytes of UDP payload
  std::chrono::nanoseconds interval{0}, duration{0};
};
struct RoundTrips {
  std::vector<std::chrono::nanoseconds> times;
  std::uint64_t lost = 0;  ///< none when it was stopped
};
/// How long an answer may take. When others came, those that are missing are not waited for so long at the end.
inline constexpr std::chrono::milliseconds round_trip_max{500};

/// Of the questions of a trial, and the load that leaves room for them.
[[nodiscard]] std::chrono::nanoseconds interval_of(const RoundTripTrial& trial) noexcept;
[[nodiscard]] UdpTrial load_beside(const RoundTripTrial& trial, std::chrono::nanoseconds interval) noexcept;

/// Sends a packet each `interval`, more than zero, whether earlier ones were answered or not; times are all on the
/// clock of this end. Between packets the thread sleeps. `socket` is the only one of make_udp_senders. Throws
/// std::system_error; with EMSGSIZE when packets are too large for the way.
RoundTrips ask_round_trips(int socket, const RoundTripAsking& wish, const std::stop_token& stop);

/// Sends each packet of the trial, and no others, back to where it came from, until it is to stop. `socket` is of
/// make_udp_sink. Throws std::system_error.
void answer_round_trips(int socket, std::uint32_t trial, const std::stop_token& stop, Traffic* traffic = nullptr);

}  // namespace culvert
