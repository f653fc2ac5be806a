// Spinning on an io_context.
#include "culvert/runtime/busy_poll.hpp"

#include <algorithm>

#include "culvert/runtime/device_setup.hpp"

namespace culvert {
namespace {

constexpr std::chrono::microseconds longest_by_default{50};

}  // namespace

std::chrono::microseconds busy_poll_of(std::optional<std::uint32_t> chosen) {
  if (chosen) return std::chrono::microseconds(*chosen);
  return processors_allowed() > 2 ? longest_by_default : std::chrono::microseconds(0);
}

void run_busily(boost::asio::io_context& io, std::chrono::microseconds longest) {
  if (longest.count() == 0) {
    io.run();
    return;
  }
  using Clock = std::chrono::steady_clock;
  SpinLength spin(longest);
  while (!io.stopped()) {
    if (io.poll() != 0) continue;
    const auto idle_since = Clock::now();
    const auto until = idle_since + spin.get();
    bool has_found = false;
    while (!has_found && !io.stopped() && Clock::now() < until) has_found = io.poll() != 0;
    if (!has_found && !io.stopped()) io.run_one();
    spin.gap(Clock::now() - idle_since);
  }
}

}  // namespace culvert
