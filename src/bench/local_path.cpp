// Trials with both ends here: sockets made in two namespaces, and a thread for each role.
#include "culvert/bench/local_path.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <future>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "culvert/bench/load_packet.hpp"
#include "culvert/bench/round_trip.hpp"
#include "culvert/bench/tcp_load.hpp"
#include "culvert/bench/udp_load.hpp"
#include "pace.hpp"
#include "refused.hpp"
#include "threads.hpp"

namespace culvert {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 5s;
/// Load goes for so long before the first round trip beside it is measured.
constexpr auto load_warm_up = 20ms;

template <class Make>
auto made_in(const LocalEnd& end, const Make& make) {
  const ScopedNamespace inside(end.space);
  return make();
}

std::uint32_t draw_lot() {
  return std::random_device{}();
}

void check(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

void check_packet_size(std::size_t size) {
  check(size >= udp_packet_min && size <= 65535, "packets of a trial have 64 to 65535 bytes");
}

void check_trial(const UdpTrial& trial) {
  check_packet_size(trial.packet_size);
  check(trial.direction != Direction::Both, "a UDP trial goes one way");
  check(trial.flows >= 1 && trial.flows <= 64, "a trial has 1 to 64 flows");
  check(trial.rate >= 0 && trial.rate <= 1e9, "a trial's rate is at most a thousand million packets a second");
}

/// Both roles' sockets of a UDP trial.
struct UdpSockets {
  UniqueFd sink;
  std::vector<UniqueFd> flows;
};

UdpSockets make_udp_sockets(const LocalEnd& from, const LocalEnd& to, unsigned flows) {
  UdpSockets sockets;
  sockets.sink = made_in(to, [&] { return make_udp_sink(to.at); });
  const Endpoint sink = local_endpoint(sockets.sink.get());
  sockets.flows = made_in(from, [&] { return make_udp_senders(from.at, sink, flows); });
  return sockets;
}

// The first packet between two hosts waits for an answer of neighbour discovery, or of a tunnel's handshake, in a queue
// with room for few. So one goes ahead; where none arrives the trial itself will tell.
void send_ahead(const UdpSockets& sockets) {
  const LoadTime deadline = LoadClock::now() + 2s;
  for (LoadTime now = LoadClock::now(); now < deadline; now = LoadClock::now()) {
    // It goes even if the last one was answered with an ICMP error.
    if (::send(sockets.flows.front().get(), nullptr, 0, 0) < 0 && errno == EMSGSIZE) return;
    pollfd entry{.fd = sockets.sink.get(), .events = POLLIN, .revents = 0};
    if (::poll(&entry, 1, 100) > 0) return;
  }
}

/// A UDP trial under way.
class RunningLoad {
 public:
  RunningLoad(const LocalEnd& near_end, const LocalEnd& far_end, const UdpTrial& trial) {
    const bool is_up = trial.direction == Direction::Up;
    const LocalEnd& from = is_up ? near_end : far_end;
    sockets_ = make_udp_sockets(from, is_up ? far_end : near_end, trial.flows);
    send_ahead(sockets_);
    const std::uint32_t lot = draw_lot();
    const std::size_t payload = udp_payload_of(trial.packet_size, from.at.address.family());
    receiving_ = {.trial = lot, .payload = payload, .flows = trial.flows};
    sending_ = {.trial = lot,
                .payload = payload,
                .rate = trial.rate,
                .duration = trial.duration,
                .has_timestamps = trial.has_timestamps};
    received_ = sink_stop_.in_thread(
        [this](const std::stop_token& stop) { return receive_udp(sockets_.sink.get(), receiving_, news_, stop); });
    sent_ = sender_stop_.in_thread(
        [this](const std::stop_token& stop) { return send_udp(sockets_.flows, sending_, stop); });
  }

  void stop_sending() noexcept { sender_stop_.stop(); }
  UdpOutcome outcome() {
    const UdpSent sent = sent_.get();
    news_.ended(sent.sent);
    const UdpReceived received = received_.get();
    return {.wanted = sent.wanted,
            .sent = sent.sent,
            .received = received.received,
            .sink_drops = received.sink_drops,
            .elapsed = sent.elapsed,
            .backlog = received.backlog};
  }

 private:
  UdpSockets sockets_;
  UdpReceiving receiving_;
  UdpSending sending_;
  SenderNews news_;
  std::future<UdpReceived> received_;
  std::future<UdpSent> sent_;
  StopAtEnd sink_stop_, sender_stop_;
};

/// TCP streams one way.
struct TcpStreams {
  std::vector<UniqueFd> sources, sinks;
};

TcpStreams connect_streams(const LocalEnd& from, const LocalEnd& to, unsigned count) {
  TcpStreams streams;
  const UniqueFd listener = made_in(to, [&] { return make_tcp_listener(to.at); });
  const Endpoint where = local_endpoint(listener.get());
  for (unsigned i = 0; i < count; ++i) {
    streams.sources.push_back(made_in(from, [&] { return connect_tcp(from.at, where, patience); }));
    streams.sinks.push_back(accept_tcp(listener.get(), from.at.address, patience));
  }
  return streams;
}

}  // namespace

TcpOutcome LocalPath::run(const TcpTrial& trial) {
  check(trial.streams >= 1 && trial.streams <= 64, "a trial has 1 to 64 streams");
  std::vector<std::pair<Direction, TcpStreams>> ways;
  if (trial.direction != Direction::Down) ways.emplace_back(Direction::Up, connect_streams(near_, far_, trial.streams));
  if (trial.direction != Direction::Up) ways.emplace_back(Direction::Down, connect_streams(far_, near_, trial.streams));

  std::vector<std::future<std::uint64_t>> sources;
  std::vector<std::future<TcpReceived>> sinks;
  StopAtEnd stop;
  for (const auto& way : ways) {
    const TcpStreams& streams = way.second;
    sinks.push_back(stop.in_thread([&](const std::stop_token& token) {
      return receive_tcp(streams.sinks, trial.warm_up, trial.duration, token);
    }));
    sources.push_back(
        stop.in_thread([&](const std::stop_token& token) { return send_tcp(streams.sources, trial.rate_max, token); }));
  }
  TcpOutcome outcome;
  for (std::size_t i = 0; i < ways.size(); ++i) {
    const TcpReceived received = sinks[i].get();
    (ways[i].first == Direction::Up ? outcome.bytes_up : outcome.bytes_down) = received.bytes;
    outcome.elapsed = std::max(outcome.elapsed, received.elapsed);
  }
  stop.stop();
  for (auto& source : sources) outcome.bytes_in_all += source.get();
  return outcome;
}

UdpOutcome LocalPath::run(const UdpTrial& trial) {
  check_trial(trial);
  return RunningLoad(near_, far_, trial).outcome();
}

RoundTripOutcome LocalPath::run(const RoundTripTrial& trial) {
  check_packet_size(trial.packet_size);
  check(trial.interval > 0us, "round trips are some time apart");
  const std::chrono::nanoseconds interval = interval_of(trial);
  std::optional<RunningLoad> load;
  const UdpSockets sockets = make_udp_sockets(near_, far_, 1);
  if (trial.load) {
    check_trial(*trial.load);
    UdpTrial beside = load_beside(trial, interval);
    // It is told to stop when the last answer is there.
    beside.duration = trial.duration + patience;
    load.emplace(near_, far_, beside);
    std::this_thread::sleep_for(load_warm_up);
  }
  send_ahead(sockets);
  const RoundTripAsking wish{.trial = draw_lot(),
                             .payload = udp_payload_of(trial.packet_size, near_.at.address.family()),
                             .interval = interval,
                             .duration = trial.duration};
  std::future<void> answering;
  std::future<RoundTrips> asking;
  StopAtEnd stop;
  answering =
      stop.in_thread([&](const std::stop_token& token) { answer_round_trips(sockets.sink.get(), wish.trial, token); });
  asking = stop.in_thread(
      [&](const std::stop_token& token) { return ask_round_trips(sockets.flows.front().get(), wish, token); });
  RoundTrips trips = asking.get();
  if (load) load->stop_sending();
  stop.stop();
  answering.get();
  RoundTripOutcome outcome{.times = std::move(trips.times), .lost = trips.lost, .load = std::nullopt};
  if (load) outcome.load = load->outcome();
  return outcome;
}

}  // namespace culvert
