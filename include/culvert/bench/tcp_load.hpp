// The two roles of a TCP trial: who sends, and who counts.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <stop_token>

#include "culvert/io/unique_fd.hpp"

namespace culvert {

// Both have a thread for each stream, and have joined it when they return or throw. Streams are of connect_tcp or
// accept_tcp, 1 to 64.

/// Sends until it is to stop, or the other end of a stream is closed; returns how many bytes the other end's
/// kernel acknowledged: what the kernel took beyond that may never go. `rate_max` is in bits a second, of all streams
/// together; 0: as many as possible. Throws std::system_error.
std::uint64_t send_tcp(std::span<const UniqueFd> streams, std::uint64_t rate_max, const std::stop_token& stop);

struct TcpReceived {
  std::uint64_t bytes = 0;
  std::chrono::nanoseconds elapsed{0};  ///< of the counting
};
/// Reads for warm_up, then reads and counts for `duration`, or until it is to stop. Throws std::system_error, with
/// ECONNRESET when a stream ends before.
TcpReceived receive_tcp(std::span<const UniqueFd> streams, std::chrono::milliseconds warm_up,
                        std::chrono::milliseconds duration, const std::stop_token& stop);

}  // namespace culvert
