// Looking for work for a while before sleeping: a wake-up costs more than most gaps between packets.
#pragma once

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <optional>

namespace culvert {

/// Decides from the gaps between events how long it is worth to look: twice the usual gap, as long as that is at most
/// `longest`; else not at all. Time is an argument.
class SpinLength {
 public:
  explicit SpinLength(std::chrono::nanoseconds longest) noexcept : longest_(longest), usual_gap_(longest) {}

  [[nodiscard]] std::chrono::nanoseconds get() const noexcept {
    return usual_gap_ > longest_ ? std::chrono::nanoseconds(0) : std::min(2 * usual_gap_, longest_);
  }
  /// What passed between running out of work and the next event.
  void gap(std::chrono::nanoseconds length) noexcept {
    // One long pause between two trains of packets is not to be remembered for long.
    usual_gap_ += (std::min(length, 4 * longest_) - usual_gap_) / 8;
  }

 private:
  std::chrono::nanoseconds longest_;
  std::chrono::nanoseconds usual_gap_;
};

/// `chosen` microseconds, or else by the number of processors: 50 where there are more than two, 0 where spinning would
/// take one away from whoever sends or receives what the tunnel carries.
[[nodiscard]] std::chrono::microseconds busy_poll_of(std::optional<std::uint32_t> chosen);

/// Runs `io` until it is stopped, as io.run() does, but looks for events up to `longest` before it sleeps. 0: never.
void run_busily(boost::asio::io_context& io, std::chrono::microseconds longest);

}  // namespace culvert
