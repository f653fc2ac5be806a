// What the far end of a benchmark does, by role.
#include "far_role.hpp"

#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <exception>

#include "culvert/base/printable.hpp"
#include "culvert/bench/round_trip.hpp"
#include "culvert/bench/tcp_load.hpp"
#include "refused.hpp"

namespace culvert {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds connecting_patience = 5s;
constexpr auto grace = 15s;

std::size_t headers_of(Family family) noexcept {
  return family == Family::V4 ? 28 : 48;
}

std::uint32_t drops_of(int socket) noexcept {
  std::array<std::uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t size = sizeof info;
  return ::getsockopt(socket, SOL_SOCKET, SO_MEMINFO, info.data(), &size) == 0 ? info[SK_MEMINFO_DROPS] : 0;
}

}  // namespace

RunningRole::RunningRole(const RoleMessage& start, const FarPlace& place, std::function<void()> on_end)
    : start_(start),
      place_(place),
      on_end_(std::move(on_end)),
      deadline_(Clock::now() + start.warm_up + start.duration + grace) {
  prepare();
  thread_ = std::jthread([this] {
    outcome_.kind = RoleMessage::Kind::Done;
    outcome_.role = start_.role;
    outcome_.trial = start_.trial;
    try {
      act();
    } catch (const std::exception& error) {
      outcome_.kind = RoleMessage::Kind::Failed;
      outcome_.text = printable(error.what());
    }
    has_ended_.store(true, std::memory_order_release);
    on_end_();
  });
}

RunningRole::~RunningRole() {
  stop(0);
}

void RunningRole::stop(std::uint64_t sent) noexcept {
  if (start_.role == FarRole::UdpReceive && sent != 0) return news_.ended(sent);
  stop_.request_stop();
}

void RunningRole::prepare() {
  switch (start_.role) {
    case FarRole::TcpSend:
    case FarRole::TcpReceive:
      listener_ = make_tcp_listener(place_.here);
      break;
    case FarRole::UdpSend: {
      const Endpoint sink{.address = place_.near_end, .port = start_.port, .scope_id = 0};
      flows_ = make_udp_senders(place_.here, sink, start_.flows);
      return;
    }
    case FarRole::UdpReceive:
      take_over_sink();
      break;
    case FarRole::AnswerRoundTrips:
      listener_ = make_udp_sink(place_.here);
      break;
  }
  port_ = local_endpoint(listener_.get()).port;
}

/// Empty, but for what comes meanwhile.
void RunningRole::take_over_sink() {
  constexpr int packets_max = 1 << 14;  // more do not fit in
  listener_ = UniqueFd(::fcntl(place_.sink.get(), F_DUPFD_CLOEXEC, 0));
  if (!listener_.is_open()) throw_refused("duplicating a descriptor");
  for (int i = 0; i < packets_max; ++i) {
    const ssize_t size = ::recv(listener_.get(), nullptr, 0, MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0) break;
    traffic_.read(1, static_cast<std::uint64_t>(size));
  }
  drops_before_ = drops_of(listener_.get());
}

void RunningRole::act() {
  switch (start_.role) {
    case FarRole::TcpSend:
      return send_tcp_streams();
    case FarRole::TcpReceive:
      return receive_tcp_streams();
    case FarRole::UdpSend:
      return send_udp_packets();
    case FarRole::UdpReceive:
      return receive_udp_packets();
    case FarRole::AnswerRoundTrips:
      return answer_round_trips(listener_.get(), start_.trial, stop_.get_token(), &traffic_);
  }
}

void RunningRole::accept_streams() {
  while (flows_.size() < start_.flows) {
    flows_.push_back(accept_tcp(listener_.get(), place_.near_end, connecting_patience));
  }
  // No others, whose bytes would not be counted.
  listener_ = UniqueFd();
  has_flows_.store(true, std::memory_order_release);
}

void RunningRole::send_tcp_streams() {
  accept_streams();
  std::uint64_t rate = start_.rate;
  if (place_.rate_limit != 0) rate = rate == 0 ? place_.rate_limit : std::min(rate, place_.rate_limit);
  outcome_.numbers[0] = send_tcp(flows_, rate, stop_.get_token());
}

void RunningRole::receive_tcp_streams() {
  accept_streams();
  const TcpReceived received = receive_tcp(flows_, start_.warm_up, start_.duration, stop_.get_token());
  outcome_.numbers[0] = received.bytes;
  outcome_.numbers[1] = static_cast<std::uint64_t>(received.elapsed.count());
}

void RunningRole::send_udp_packets() {
  UdpSending wish{.trial = start_.trial,
                  .payload = start_.payload,
                  .rate = static_cast<double>(start_.rate) / 1000,
                  .duration = start_.duration,
                  .has_timestamps = start_.has_timestamps,
                  .traffic = &traffic_};
  if (place_.rate_limit != 0) {
    const auto size = static_cast<double>(start_.payload + headers_of(place_.near_end.family()));
    const double most = static_cast<double>(place_.rate_limit) / 8 / size;
    wish.rate = wish.rate == 0 ? most : std::min(wish.rate, most);
  }
  const UdpSent sent = send_udp(flows_, wish, stop_.get_token());
  outcome_.numbers = {sent.wanted, sent.sent, static_cast<std::uint64_t>(sent.elapsed.count()), 0, 0};
}

void RunningRole::receive_udp_packets() {
  const UdpReceiving wish{
      .trial = start_.trial, .payload = start_.payload, .flows = start_.flows, .traffic = &traffic_};
  const UdpReceived received = receive_udp(listener_.get(), wish, news_, stop_.get_token());
  const auto backlog = std::chrono::nanoseconds(received.backlog);
  outcome_.numbers = {received.received, received.sink_drops - drops_before_,
                      static_cast<std::uint64_t>(backlog.count()), 0, 0};
}

Moved RunningRole::moved_so_far() const {
  Moved moved;
  const auto count = [](const std::atomic<std::uint64_t>& value) {
    return static_cast<double>(value.load(std::memory_order_relaxed));
  };
  if (start_.role == FarRole::TcpSend || start_.role == FarRole::TcpReceive) {
    if (!has_flows_.load(std::memory_order_acquire)) return moved;
    for (const UniqueFd& stream : flows_) {
      tcp_info info{};
      socklen_t size = sizeof info;
      if (::getsockopt(stream.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) continue;
      moved.in += static_cast<double>(info.tcpi_bytes_received);
      moved.out += static_cast<double>(info.tcpi_bytes_acked);
    }
    return moved;
  }
  const auto headers = static_cast<double>(headers_of(place_.near_end.family()));
  const double packets = count(traffic_.read_packets);
  moved.in = count(traffic_.read_bytes) + packets * headers;
  moved.out = count(traffic_.sent_bytes) + count(traffic_.sent_packets) * headers;
  if (listener_.is_open()) {
    // What it was too slow for is taken to be like what it read.
    const double usual = packets > 0 ? moved.in / packets : 0;
    moved.in +=
        static_cast<double>(drops_of(listener_.get()) - drops_before_) * std::max(usual, start_.payload + headers);
  }
  return moved;
}

Moved RunningRole::take_moved() {
  const Moved now = moved_so_far();
  // Both are estimates that may shrink.
  const Moved more{std::max(now.in - taken_.in, 0.0), std::max(now.out - taken_.out, 0.0)};
  taken_ = {std::max(now.in, taken_.in), std::max(now.out, taken_.out)};
  return more;
}

}  // namespace culvert
