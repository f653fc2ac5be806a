// Sending numbered packets at a constant rate, or as many as possible.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "culvert/bench/load_packet.hpp"
#include "culvert/bench/udp_load.hpp"
#include "pace.hpp"
#include "refused.hpp"

namespace culvert {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t batch = 64;
/// Sleeping for less costs more than it leaves to others.
constexpr auto shortest_pause = 100us;
/// What a thread that was not run for a long time makes up for in one go is twice as much as falls due meanwhile.
constexpr auto longest_gap = 500us;
/// A flood without time stamps looks at the clock once in so many batches.
constexpr unsigned batches_per_look = 16;

std::uint32_t stamp(LoadTime time) noexcept {
  return static_cast<std::uint32_t>(std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count());
}

// Passes when the packet at hand was lost, or an earlier one was answered by an ICMP error.
bool is_passing(int error) noexcept {
  return is_nothing_yet(error) || error == ENOBUFS || error == ENOMEM || error == ECONNREFUSED || error == EHOSTUNREACH;
}

/// Packets of all flows, and memory for one system call.
class Packets {
 public:
  Packets(std::span<const UniqueFd> flows, const UdpSending& wish)
      : flows_(flows), wish_(wish), rest_(wish.payload - sizeof(LoadPacket)), next_(flows.size()) {
    for (std::size_t i = 0; i < batch; ++i) {
      headers_[i].trial = wish.trial;
      pieces_[i] = {iovec{&headers_[i], sizeof(LoadPacket)}, iovec{rest_.data(), rest_.size()}};
      messages_[i].msg_hdr.msg_iov = pieces_[i].data();
      messages_[i].msg_hdr.msg_iovlen = rest_.empty() ? 1 : 2;
    }
  }

  /// Up to `count` and `batch` packets of the next flow; how many the kernel took.
  std::uint64_t send(std::uint64_t count, LoadTime now) {
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(count, batch));
    const Be32 sent_at = wish_.has_timestamps ? stamp(now) : 0;
    for (std::size_t i = 0; i < size; ++i) {
      headers_[i].flow = static_cast<std::uint8_t>(flow_);
      headers_[i].sequence = next_[flow_] + static_cast<std::uint32_t>(i);
      headers_[i].sent_at = sent_at;
    }
    const int sent = ::sendmmsg(flows_[flow_].get(), messages_.data(), static_cast<unsigned>(size), 0);
    if (sent < 0 && !is_passing(errno)) {
      throw_refused("cannot send packets with " + std::to_string(wish_.payload) + " bytes of UDP payload");
    }
    const auto taken = static_cast<std::uint32_t>(std::max(sent, 0));
    next_[flow_] += taken;
    if (wish_.traffic) wish_.traffic->sent(taken, taken * wish_.payload);
    flow_ = (flow_ + 1) % flows_.size();
    return taken;
  }

 private:
  std::span<const UniqueFd> flows_;
  const UdpSending& wish_;
  std::vector<std::byte> rest_;      ///< of each packet's payload
  std::vector<std::uint32_t> next_;  ///< sequence number of each flow
  std::size_t flow_ = 0;
  std::array<LoadPacket, batch> headers_;
  std::array<std::array<iovec, 2>, batch> pieces_;
  std::array<mmsghdr, batch> messages_{};
};

UdpSent flood(Packets& packets, const UdpSending& wish, const std::stop_token& stop) {
  UdpSent outcome;
  const LoadTime begin = LoadClock::now();
  LoadTime now = begin;
  for (unsigned batches = 1; now < begin + wish.duration && !stop.stop_requested(); ++batches) {
    outcome.sent += packets.send(batch, now);
    if (wish.has_timestamps || batches % batches_per_look == 0) now = LoadClock::now();
  }
  outcome.wanted = outcome.sent;
  outcome.elapsed = LoadClock::now() - begin;
  return outcome;
}

double seconds_of(LoadClock::duration duration) noexcept {
  return std::chrono::duration<double>(duration).count();
}

UdpSent send_constantly(Packets& packets, const UdpSending& wish, const std::stop_token& stop) {
  UdpSent outcome;
  const auto total = static_cast<std::uint64_t>(std::llround(wish.rate * seconds_of(wish.duration)));
  const LoadTime begin = LoadClock::now();
  const LoadTime deadline = begin + wish.duration + wish.duration / 20;
  LoadTime now = begin;
  // How much of the time has its packets sent: `now`, unless the thread was kept from running.
  LoadClock::duration served{0};
  for (LoadTime before = begin; outcome.sent < total; before = now, now = LoadClock::now()) {
    if (now >= deadline || stop.stop_requested()) break;
    served += std::min<LoadClock::duration>(now - begin - served,
                                            2 * std::min<LoadClock::duration>(now - before, longest_gap));
    const auto due = std::min(total, static_cast<std::uint64_t>(seconds_of(served) * wish.rate) + 1);
    for (std::uint64_t taken = 1; outcome.sent < due && taken > 0; outcome.sent += taken) {
      taken = packets.send(due - outcome.sent, now);
    }
    if (outcome.sent == total) break;
    const std::chrono::duration<double> next_due(static_cast<double>(outcome.sent) / wish.rate);
    sleep_until(std::max(now + shortest_pause, begin + std::chrono::ceil<LoadClock::duration>(next_due)), now);
  }
  outcome.elapsed = LoadClock::now() - begin;
  outcome.wanted = total;
  if (stop.stop_requested()) {
    const auto due = static_cast<std::uint64_t>(seconds_of(outcome.elapsed) * wish.rate);
    outcome.wanted = std::max(outcome.sent, std::min(total, due));
  }
  return outcome;
}

}  // namespace

UdpSent send_udp(std::span<const UniqueFd> flows, const UdpSending& wish, const std::stop_token& stop) {
  const PreciseTimers timers;
  Packets packets(flows, wish);
  return wish.rate > 0 ? send_constantly(packets, wish, stop) : flood(packets, wish, stop);
}

}  // namespace culvert
