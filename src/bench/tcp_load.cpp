// Writing to and reading from TCP streams, as much as there is room for.
#include "culvert/bench/tcp_load.hpp"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>

#include "pace.hpp"
#include "refused.hpp"
#include "threads.hpp"

namespace culvert {

namespace {

using namespace std::chrono_literals;

/// As iperf3 has it.
constexpr std::size_t block_size = 128 << 10;
using Block = std::array<std::byte, block_size>;
/// How far apart writes are at a limited rate, unless a block takes longer.
constexpr auto pause = 5ms;

bool is_end_of_stream(int error) noexcept {
  return error == EPIPE || error == ECONNRESET;
}

/// How much a stream may send at which time.
class Allowance {
 public:
  /// Bytes a second; 0: no limit.
  explicit Allowance(double rate) : rate_(rate) {}

  /// Up to a block; 0 after it has slept a while.
  std::size_t wait(std::uint64_t sent) const noexcept {
    if (rate_ <= 0) return block_size;
    const LoadTime now = LoadClock::now();
    const double left = std::chrono::duration<double>(now - begin_).count() * rate_ - static_cast<double>(sent);
    const double wanted = std::clamp(std::chrono::duration<double>(pause).count() * rate_, 1.0, double{block_size});
    if (left >= wanted) return static_cast<std::size_t>(wanted);
    const std::chrono::duration<double> missing((wanted - left) / rate_);
    sleep_until(now + std::chrono::ceil<LoadClock::duration>(missing), now);
    return 0;
  }

 private:
  double rate_;
  LoadTime begin_ = LoadClock::now();
};

std::uint64_t acknowledged_of(int stream) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(stream, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) throw_refused("cannot see what TCP delivered");
  return info.tcpi_bytes_acked;
}

std::uint64_t send_stream(int stream, double rate, const std::stop_token& stop) {
  static const Block block{};
  const PreciseTimers timers;
  const Allowance allowance(rate);
  std::uint64_t sent = 0;
  while (!stop.stop_requested()) {
    const std::size_t size = allowance.wait(sent);
    if (size == 0) continue;
    const ssize_t taken = ::send(stream, block.data(), size, MSG_NOSIGNAL);
    if (taken >= 0) {
      sent += static_cast<std::uint64_t>(taken);
    } else if (is_end_of_stream(errno)) {
      break;
    } else if (!is_nothing_yet(errno)) {
      throw_refused("cannot send over TCP");
    }
  }
  return acknowledged_of(stream);
}

/// To be woken for each segment would cost a fifth of the throughput. What is less is delivered after load_wait.
void wait_for_blocks(int stream) {
  const int least = block_size;
  if (::setsockopt(stream, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least) < 0) {
    throw_refused("cannot set how much a TCP stream waits for");
  }
}

std::uint64_t count_stream(int stream, LoadTime begin, LoadTime end, const std::stop_token& stop) {
  wait_for_blocks(stream);
  const auto block = std::make_unique_for_overwrite<Block>();
  std::uint64_t bytes = 0;
  while (!stop.stop_requested()) {
    const ssize_t size = ::recv(stream, block->data(), block->size(), 0);
    const int error = errno;
    const LoadTime now = LoadClock::now();
    if (now >= end) break;
    if (size > 0 && now >= begin) bytes += static_cast<std::uint64_t>(size);
    if (size > 0 || (size < 0 && is_nothing_yet(error))) continue;
    errno = size == 0 ? ECONNRESET : error;
    throw_refused("a TCP stream ended during the trial");
  }
  return bytes;
}

}  // namespace

std::uint64_t send_tcp(std::span<const UniqueFd> streams, std::uint64_t rate_max, const std::stop_token& stop) {
  const double rate = static_cast<double>(rate_max) / 8 / static_cast<double>(streams.size());
  return sum_in_threads(streams.size(), [&](std::size_t i) { return send_stream(streams[i].get(), rate, stop); });
}

TcpReceived receive_tcp(std::span<const UniqueFd> streams, std::chrono::milliseconds warm_up,
                        std::chrono::milliseconds duration, const std::stop_token& stop) {
  const LoadTime begin = LoadClock::now() + warm_up;
  const LoadTime end = begin + duration;
  TcpReceived outcome;
  outcome.bytes =
      sum_in_threads(streams.size(), [&](std::size_t i) { return count_stream(streams[i].get(), begin, end, stop); });
  outcome.elapsed = std::clamp<std::chrono::nanoseconds>(LoadClock::now() - begin, 0ns, duration);
  return outcome;
}

}  // namespace culvert
