// What the far end of a benchmark does, by role.
#include "far_role.hpp"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <exception>

#include "culvert/base/printable.hpp"
#include "culvert/bench/round_trip.hpp"
#include "culvert/bench/tcp_load.hpp"

namespace culvert {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds connecting_patience = 5s;
constexpr auto grace = 15s;
/// For clocks that differ.
constexpr double tolerance = 1.25;
/// Whoever was kept from sending may catch up on that, and send this much at once.
constexpr double seconds_to_catch_up = 2;
constexpr double bytes_at_once = 128 << 10;

std::size_t headers_of(Family family) noexcept {
  return family == Family::V4 ? 28 : 48;
}

}  // namespace

RunningRole::RunningRole(const RoleMessage& start, const FarPlace& place, std::function<void()> on_end)
    : start_(start),
      place_(place),
      on_end_(std::move(on_end)),
      deadline_(Clock::now() + start.warm_up + start.duration + grace),
      watched_at_(Clock::now()),
      credit_(bytes_at_once) {
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
    case FarRole::AnswerRoundTrips:
      listener_ = make_udp_sink(place_.here);
      break;
  }
  port_ = local_endpoint(listener_.get()).port;
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
      return answer_round_trips(listener_.get(), start_.trial, stop_.get_token());
  }
}

void RunningRole::accept_streams() {
  while (flows_.size() < start_.flows) {
    flows_.push_back(accept_tcp(listener_.get(), place_.near_end, connecting_patience));
  }
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
                  .has_timestamps = start_.has_timestamps};
  if (place_.rate_limit != 0) {
    const auto size = static_cast<double>(start_.payload + headers_of(place_.near_end.family()));
    const double most = static_cast<double>(place_.rate_limit) / 8 / size;
    wish.rate = wish.rate == 0 ? most : std::min(wish.rate, most);
  }
  const UdpSent sent = send_udp(flows_, wish, stop_.get_token());
  outcome_.numbers = {sent.wanted, sent.sent, static_cast<std::uint64_t>(sent.elapsed.count()), 0, 0};
}

void RunningRole::receive_udp_packets() {
  const UdpReceiving wish{.trial = start_.trial, .payload = start_.payload, .flows = start_.flows, .so_far = &packets_};
  const UdpReceived received = receive_udp(listener_.get(), wish, news_, stop_.get_token());
  const auto spread = std::chrono::nanoseconds(received.delay_spread);
  outcome_.numbers = {received.received, received.duplicates, received.reordered, received.sink_drops,
                      static_cast<std::uint64_t>(spread.count())};
}

double RunningRole::received_so_far() const {
  if (start_.role == FarRole::UdpReceive) {
    const auto size = start_.payload + headers_of(place_.near_end.family());
    return static_cast<double>(packets_.load(std::memory_order_relaxed)) * static_cast<double>(size);
  }
  double bytes = 0;
  if (start_.role != FarRole::TcpReceive || !has_flows_.load(std::memory_order_acquire)) return 0;
  for (const UniqueFd& stream : flows_) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(stream.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0) {
      bytes += static_cast<double>(info.tcpi_bytes_received);
    }
  }
  return bytes;
}

bool RunningRole::keeps_to_limit() {
  if (place_.rate_limit == 0) return true;
  const auto now = Clock::now();
  const double bytes = received_so_far();
  const double rate = static_cast<double>(place_.rate_limit) / 8;
  const double most = rate * seconds_to_catch_up + bytes_at_once;
  const double earned = rate * tolerance * std::chrono::duration<double>(now - watched_at_).count();
  credit_ = std::min(most, credit_ + earned) - (bytes - watched_bytes_);
  watched_at_ = now;
  watched_bytes_ = bytes;
  return credit_ >= 0;
}

}  // namespace culvert
