// The two roles of a UDP trial: who sends, and who counts.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <stop_token>

#include "culvert/bench/traffic.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

struct UdpSending {
  std::uint32_t trial = 0;  ///< LoadPacket::trial
  std::size_t payload = 0;  ///< bytes of UDP payload: udp_payload_of(UdpTrial::packet_size, …)
  double rate = 0;          ///< packets a second, of all flows together; 0: as many as possible
  std::chrono::nanoseconds duration{0};
  bool has_timestamps = true;
  Traffic* traffic = nullptr;  ///< if set: what was sent is counted there
};
struct UdpSent {
  std::uint64_t wanted = 0, sent = 0;   ///< as in UdpOutcome; of a trial that was stopped, what was due by then
  std::chrono::nanoseconds elapsed{0};  ///< from the first to the end of the last sending
};
/// Sends at a constant rate in bursts of at most 64 packets, each of one flow, 100 microseconds apart or more: between
/// them the thread sleeps. A sender that was kept from sending catches up at no more than twice the rate, and what is
/// left a twentieth of the duration after its end stays unsent. `flows` are of make_udp_senders, 1 to 64. Throws
/// std::system_error; with EMSGSIZE when packets are too large for the way.
UdpSent send_udp(std::span<const UniqueFd> flows, const UdpSending& wish, const std::stop_token& stop);

/// What a sink learns of its sender, from another thread.
class SenderNews {
 public:
  /// It has sent that many, and sends no more.
  void ended(std::uint64_t sent) noexcept { sent_.store(sent, std::memory_order_release); }
  /// Nothing while it sends.
  [[nodiscard]] std::optional<std::uint64_t> sent() const noexcept {
    const std::uint64_t sent = sent_.load(std::memory_order_acquire);
    return sent == still_sending ? std::nullopt : std::optional(sent);
  }

 private:
  static constexpr std::uint64_t still_sending = std::numeric_limits<std::uint64_t>::max();
  std::atomic<std::uint64_t> sent_{still_sending};
};

struct UdpReceiving {
  std::uint32_t trial = 0;
  std::size_t payload = 0;
  unsigned flows = 1;
  Traffic* traffic = nullptr;           ///< if set: all that was read is counted there, other trials' packets included
  std::chrono::milliseconds quiet{50};  ///< the last packet is taken to have arrived when none came for so long
};
struct UdpReceived {
  std::uint64_t received = 0, sink_drops = 0;  ///< as in UdpOutcome
  std::chrono::microseconds backlog{0};
};
/// Counts packets of the trial, and no others, until all that were sent are there, or no more come after the sender
/// ended (for 2 seconds at the most), or it is to stop. `sink` is of make_udp_sink. Throws std::system_error.
UdpReceived receive_udp(int sink, const UdpReceiving& wish, const SenderNews& sender, const std::stop_token& stop);

}  // namespace culvert
