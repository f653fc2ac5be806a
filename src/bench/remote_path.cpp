// Trials with a near end here, and a far end at a peer that is told what to do.
#include "culvert/bench/remote_path.hpp"

#include <algorithm>
#include <future>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

#include "culvert/bench/load_packet.hpp"
#include "culvert/bench/role_message.hpp"
#include "culvert/bench/round_trip.hpp"
#include "culvert/bench/tcp_load.hpp"
#include "culvert/bench/udp_load.hpp"
#include "far_end.hpp"
#include "threads.hpp"

namespace culvert {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds connecting_patience = 5s;
/// A role beside others is told to stop, or else ends by itself that much later.
constexpr std::chrono::milliseconds patience = 10s;
/// Load goes for so long before the first round trip beside it is measured.
constexpr auto load_warm_up = 20ms;
/// Round trips take no more of a limited rate than that.
constexpr double round_trip_share = 0.1;
/// From one question to the next: the way to a peer may be a slow one.
constexpr auto interval_min = 500us;

std::uint32_t draw_lot() {
  return std::random_device{}();
}

void check(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

void check_udp(const UdpTrial& trial) {
  check(trial.packet_size >= udp_packet_min && trial.packet_size <= 65535, "packets of a trial have 64 to 65535 bytes");
  check(trial.direction != Direction::Both, "a UDP trial goes one way");
  check(trial.flows >= 1 && trial.flows <= far_flows_max, "a trial has 1 to 64 flows");
  check(trial.rate >= 0 && trial.rate <= 1e9, "a trial's rate is at most a thousand million packets a second");
  check(trial.duration > 0ms && trial.duration <= far_duration_max, "a trial lasts at most a minute");
}

/// The smaller one, of which 0 is none.
std::uint64_t tighter(std::uint64_t a, std::uint64_t b) noexcept {
  if (a == 0 || b == 0) return std::max(a, b);
  return std::min(a, b);
}

}  // namespace

template <class Make>
auto RemotePath::made_here(const Make& make) const {
  const ScopedNamespace inside(space_);
  return make();
}

RemotePath::RemotePath(NetworkNamespace space, std::string device, const Endpoint& far_end, const BenchToken& token,
                       std::uint64_t rate_limit)
    : space_(std::move(space)), there_(far_end.address), rate_limit_(rate_limit) {
  const bool is_v4 = far_end.address.is_v4();
  here_ = {is_v4 ? Address() : Address::from_bytes(Family::V6, std::array<std::byte, 16>{}), std::move(device)};
  UniqueFd connection = made_here([&] { return connect_tcp(here_, far_end, connecting_patience); });
  // From now on that of the connection, which the far end expects load from.
  here_.address = local_endpoint(connection.get()).address;
  far_ = std::make_unique<FarEnd>(std::move(connection));
  far_->greet(token);
}

RemotePath::~RemotePath() = default;

UdpTrial RemotePath::within_limit(UdpTrial trial) const {
  if (rate_limit_ == 0) return trial;
  const double most = static_cast<double>(rate_limit_) / 8 / static_cast<double>(trial.packet_size);
  trial.rate = trial.rate == 0 ? most : std::min(trial.rate, most);
  return trial;
}

TcpOutcome RemotePath::run(const TcpTrial& trial) {
  check(trial.streams >= 1 && trial.streams <= far_flows_max, "a trial has 1 to 64 streams");
  check(trial.duration > 0ms && trial.duration <= far_duration_max, "a trial lasts at most a minute");
  RoleMessage start;
  start.flows = static_cast<std::uint16_t>(trial.streams);
  start.warm_up = trial.warm_up;
  start.duration = trial.duration;
  start.rate = tighter(trial.rate_max, rate_limit_);
  std::optional<FarEnd::Role> far_source, far_sink;
  const auto connect = [&](FarRole role, std::optional<FarEnd::Role>& there) {
    start.role = role;
    start.trial = draw_lot();
    there.emplace(*far_, start);
    const Endpoint listener{.address = there_, .port = there->port(), .scope_id = 0};
    std::vector<UniqueFd> streams;
    for (unsigned i = 0; i < trial.streams; ++i) {
      streams.push_back(made_here([&] { return connect_tcp(here_, listener, connecting_patience); }));
    }
    return streams;
  };
  std::vector<UniqueFd> sources;
  std::vector<UniqueFd> sinks;
  std::future<std::uint64_t> sent;
  std::future<TcpReceived> received;
  StopAtEnd stop;
  const auto time = trial.warm_up + trial.duration;
  if (trial.direction != Direction::Up) sinks = connect(FarRole::TcpSend, far_source);
  if (trial.direction != Direction::Down) sources = connect(FarRole::TcpReceive, far_sink);
  if (!sinks.empty()) {
    received = stop.in_thread(
        [&](const std::stop_token& token) { return receive_tcp(sinks, trial.warm_up, trial.duration, token); });
  }
  if (!sources.empty())
    sent = stop.in_thread([&](const std::stop_token& token) { return send_tcp(sources, start.rate, token); });
  TcpOutcome outcome;
  if (!sources.empty()) {
    const RoleMessage done = far_sink->finish(time);
    outcome.bytes_up = done.numbers[0];
    outcome.elapsed = std::chrono::nanoseconds(done.numbers[1]);
  }
  if (!sinks.empty()) {
    const TcpReceived here = received.get();
    outcome.bytes_down = here.bytes;
    outcome.elapsed = std::max(outcome.elapsed, here.elapsed);
    far_source->stop();
    outcome.bytes_in_all += far_source->finish(0ms).numbers[0];
  }
  stop.stop();
  if (!sources.empty()) outcome.bytes_in_all += sent.get();
  return outcome;
}

/// A UDP trial under way.
class RemotePath::Load {
 public:
  Load(RemotePath& path, const UdpTrial& wish) : trial_(path.within_limit(wish)), wish_(wish) {
    const std::size_t payload = udp_payload_of(trial_.packet_size, path.there_.family());
    start_.trial = draw_lot();
    start_.payload = static_cast<std::uint32_t>(payload);
    start_.flows = static_cast<std::uint16_t>(trial_.flows);
    start_.has_timestamps = trial_.has_timestamps;
    start_.duration = trial_.duration;
    // Not above the limit, which is checked there.
    start_.rate = static_cast<std::uint64_t>(trial_.rate * 1000);
    if (trial_.direction == Direction::Up) {
      start_.role = FarRole::UdpReceive;
      role_.emplace(*path.far_, start_);
      const Endpoint sink{.address = path.there_, .port = role_->port(), .scope_id = 0};
      flows_ = path.made_here([&] { return make_udp_senders(path.here_, sink, trial_.flows); });
      sending_ = {.trial = start_.trial,
                  .payload = payload,
                  .rate = trial_.rate,
                  .duration = trial_.duration,
                  .has_timestamps = trial_.has_timestamps};
      sent_ = stop_.in_thread([this](const std::stop_token& stop) { return send_udp(flows_, sending_, stop); });
    } else {
      start_.role = FarRole::UdpSend;
      sink_ = path.made_here([&] { return make_udp_sink(path.here_); });
      start_.port = local_endpoint(sink_.get()).port;
      receiving_ = {.trial = start_.trial, .payload = payload, .flows = trial_.flows};
      received_ = stop_.in_thread(
          [this](const std::stop_token& stop) { return receive_udp(sink_.get(), receiving_, news_, stop); });
      role_.emplace(*path.far_, start_);
    }
  }

  void stop_sending() {
    if (trial_.direction == Direction::Up) {
      stop_.stop();
    } else {
      role_->stop();
    }
  }

  UdpOutcome outcome() {
    UdpOutcome outcome;
    if (trial_.direction == Direction::Up) {
      const UdpSent sent = sent_.get();
      role_->stop(sent.sent);
      const auto numbers = role_->finish(0ms).numbers;
      outcome = {.wanted = sent.wanted,
                 .sent = sent.sent,
                 .received = numbers[0],
                 .sink_drops = numbers[1],
                 .elapsed = sent.elapsed,
                 .backlog = std::chrono::microseconds(numbers[2] / 1000)};
    } else {
      const auto numbers = role_->finish(trial_.duration).numbers;
      news_.ended(numbers[1]);
      const UdpReceived received = received_.get();
      outcome = {.wanted = numbers[0],
                 .sent = numbers[1],
                 .received = received.received,
                 .sink_drops = received.sink_drops,
                 .elapsed = std::chrono::nanoseconds(numbers[2]),
                 .backlog = received.backlog};
    }
    // A rate that may not be tried is one that does not pass.
    if (wish_.rate > trial_.rate) {
      outcome.wanted = static_cast<std::uint64_t>(static_cast<double>(outcome.wanted) * wish_.rate / trial_.rate);
    }
    return outcome;
  }

 private:
  std::optional<FarEnd::Role> role_;
  UdpTrial trial_, wish_;
  RoleMessage start_;
  std::vector<UniqueFd> flows_;
  UniqueFd sink_;
  UdpSending sending_;
  UdpReceiving receiving_;
  SenderNews news_;
  std::future<UdpSent> sent_;
  std::future<UdpReceived> received_;
  StopAtEnd stop_;
};

UdpOutcome RemotePath::run(const UdpTrial& trial) {
  check_udp(trial);
  return Load(*this, trial).outcome();
}

RoundTripOutcome RemotePath::run(const RoundTripTrial& trial) {
  check(trial.packet_size >= udp_packet_min && trial.packet_size <= 65535, "packets of a trial have 64 to 65535 bytes");
  check(trial.duration > 0ms && trial.duration <= far_duration_max - patience, "a trial lasts at most 50 seconds");
  check(trial.interval > 0us, "round trips are some time apart");
  std::chrono::nanoseconds interval = std::max<std::chrono::nanoseconds>(interval_of(trial), interval_min);
  if (rate_limit_ != 0) {
    const double bits = static_cast<double>(trial.packet_size) * 8;
    const std::chrono::duration<double> least(bits / (static_cast<double>(rate_limit_) * round_trip_share));
    interval = std::max(interval, std::chrono::ceil<std::chrono::nanoseconds>(least));
  }
  std::optional<Load> load;
  if (trial.load) {
    UdpTrial beside = load_beside(trial, interval);
    // It is told to stop when the last answer is there.
    beside.duration = trial.duration + patience;
    check_udp(beside);
    load.emplace(*this, beside);
  }
  RoleMessage start;
  start.role = FarRole::AnswerRoundTrips;
  start.trial = draw_lot();
  start.payload = static_cast<std::uint32_t>(udp_payload_of(trial.packet_size, there_.family()));
  start.duration = trial.duration + patience;
  FarEnd::Role answers(*far_, start);
  const Endpoint answering{.address = there_, .port = answers.port(), .scope_id = 0};
  const std::vector<UniqueFd> flow = made_here([&] { return make_udp_senders(here_, answering, 1); });
  if (load) std::this_thread::sleep_for(load_warm_up);
  const RoundTripAsking wish{
      .trial = start.trial, .payload = start.payload, .interval = interval, .duration = trial.duration};
  RoundTrips trips = ask_round_trips(flow.front().get(), wish, std::stop_token());
  RoundTripOutcome outcome{.times = std::move(trips.times), .lost = trips.lost, .load = std::nullopt};
  if (load) load->stop_sending();
  answers.stop();
  (void)answers.finish(0ms);
  if (load) outcome.load = load->outcome();
  return outcome;
}

}  // namespace culvert
