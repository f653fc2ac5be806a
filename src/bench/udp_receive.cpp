// Counting the packets of a trial.
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "culvert/bench/arrivals.hpp"
#include "culvert/bench/backlog.hpp"
#include "culvert/bench/load_packet.hpp"
#include "culvert/bench/udp_load.hpp"
#include "pace.hpp"
#include "refused.hpp"

namespace culvert {

namespace {

using namespace std::chrono_literals;

constexpr unsigned batch = 64;
constexpr auto patience = 2s;
/// While packets come the sink looks for them this often, rather than to be woken by each: whoever hands it a packet,
/// which may be a tunnel, would pay for that.
constexpr auto pause = 250us;

/// Memory for one system call, and what was counted so far.
class Counting {
 public:
  explicit Counting(const UdpReceiving& wish) : wish_(wish), flows_(wish.flows) {
    for (unsigned i = 0; i < batch; ++i) {
      pieces_[i] = iovec{&packets_[i], sizeof packets_[i]};
      messages_[i].msg_hdr.msg_iov = &pieces_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
  }

  /// What is there; when there was nothing the last time, what comes within load_wait. Whether there was something.
  bool receive(int sink) {
    // With MSG_TRUNC lengths are those of the packets, of which only the start is copied.
    const int flags = MSG_TRUNC | (is_idle_ ? MSG_WAITFORONE : MSG_DONTWAIT);
    const int count = ::recvmmsg(sink, messages_.data(), batch, flags, nullptr);
    if (count < 0 && !is_nothing_yet(errno)) throw_refused("cannot receive packets");
    is_idle_ = count <= 0;
    std::uint64_t bytes = 0;
    for (unsigned i = 0; i < static_cast<unsigned>(std::max(count, 0)); ++i) {
      take(messages_[i].msg_len, packets_[i]);
      bytes += messages_[i].msg_len;
    }
    if (wish_.traffic && !is_idle_) wish_.traffic->read(static_cast<std::uint64_t>(count), bytes);
    has_more_ = count == static_cast<int>(batch);
    // Only what was taken as soon as it was there tells of the way: a sink that was kept from running comes late
    // itself.
    if (!has_more_ && last_sent_at_ != 0) backlog_.take(std::exchange(last_sent_at_, 0), stamp());
    return !is_idle_;
  }
  /// Lets packets gather, if more are to be expected and all that were there have been taken.
  void rest() const noexcept {
    if (is_idle_ || has_more_) return;
    const LoadTime now = LoadClock::now();
    sleep_until(now + pause, now);
  }

  [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
  [[nodiscard]] std::chrono::microseconds backlog() const noexcept { return backlog_.value(); }

 private:
  void take(std::size_t size, const LoadPacket& packet) noexcept {
    if (size != wish_.payload || packet.magic != LoadPacket::magic_value || packet.trial != wish_.trial ||
        packet.flow >= flows_.size()) {
      return;
    }
    Arrivals& flow = flows_[packet.flow];
    received_ -= flow.received();
    flow.take(packet.sequence);
    received_ += flow.received();
    last_sent_at_ = packet.sent_at;
  }

  static std::uint32_t stamp() noexcept {
    const auto now = LoadClock::now().time_since_epoch();
    return static_cast<std::uint32_t>(std::chrono::floor<std::chrono::microseconds>(now).count());
  }

  const UdpReceiving& wish_;
  std::vector<Arrivals> flows_;
  std::uint64_t received_ = 0;
  bool is_idle_ = true;
  bool has_more_ = false;           ///< perhaps
  std::uint32_t last_sent_at_ = 0;  ///< of the last packet since the socket was empty; zero: there is none
  Backlog backlog_;
  std::array<LoadPacket, batch> packets_;
  std::array<iovec, batch> pieces_;
  std::array<mmsghdr, batch> messages_{};
};

std::uint64_t drops_of(int sink) {
  std::array<std::uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t size = sizeof info;
  if (::getsockopt(sink, SOL_SOCKET, SO_MEMINFO, info.data(), &size) < 0) throw_refused("cannot see what a sink lost");
  return info[SK_MEMINFO_DROPS];
}

}  // namespace

UdpReceived receive_udp(int sink, const UdpReceiving& wish, const SenderNews& sender, const std::stop_token& stop) {
  const PreciseTimers timers;
  Counting counting(wish);
  std::optional<LoadTime> ended, last;
  while (!stop.stop_requested()) {
    const bool has_come = counting.receive(sink);
    const auto sent = sender.sent();
    if (!sent) {
      counting.rest();
      continue;
    }
    if (counting.received() >= *sent) break;
    const LoadTime now = LoadClock::now();
    if (!ended) ended = now;
    if (has_come || !last) last = now;
    if (now - *last >= wish.quiet || now - *ended >= patience) break;
  }
  return {.received = counting.received(), .sink_drops = drops_of(sink), .backlog = counting.backlog()};
}

}  // namespace culvert
