// The plan: how far each arrangement is from the middle decides what is measured there.
#include "culvert/bench/plan.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "culvert/bench/trial.hpp"
#include "culvert/config/config_file.hpp"

namespace culvert {
namespace {

constexpr std::uint32_t usual_mtu = 1420;

/// All lists are sorted, without repetitions, and not empty.
struct Dimensions {
  std::vector<BenchMode> modes{BenchMode::Tun, BenchMode::Tap, BenchMode::BridgedTap};
  std::vector<CipherSuite> ciphers{CipherSuite::ChaCha20Poly1305, CipherSuite::Aes256Gcm, CipherSuite::None};
  std::vector<OffloadRung> offloads{OffloadRung::Off, OffloadRung::On};
  std::vector<std::uint32_t> sizes{64, 1420};
  std::vector<unsigned> queues{1};
  std::vector<unsigned> streams{1};
};

template <class T>
void choose(std::vector<T>& usual, std::vector<T> wished) {
  if (wished.empty()) return;
  std::ranges::sort(wished);
  const auto repeated = std::ranges::unique(wished);
  wished.erase(repeated.begin(), repeated.end());
  usual = std::move(wished);
}

Dimensions dimensions_of(const BenchWish& wish) {
  Dimensions dimensions;
  if (wish.kind != BenchKind::Quick) {
    dimensions.sizes = {64, 128, 256, 512, 1024, 1280, 1420, 8920};
    dimensions.offloads = {OffloadRung::Off, OffloadRung::Udp, OffloadRung::Device, OffloadRung::On};
    dimensions.queues = {1, 2};
    dimensions.streams = {1, 4};
  }
  choose(dimensions.modes, wish.modes);
  choose(dimensions.ciphers, wish.ciphers);
  choose(dimensions.offloads, wish.offloads);
  choose(dimensions.sizes, wish.sizes);
  choose(dimensions.queues, wish.queues);
  choose(dimensions.streams, wish.streams);
  return dimensions;
}

void check_streams(const BenchWish& wish) {
  for (const unsigned streams : wish.streams) {
    if (streams >= 1 && streams <= bench_streams_max) continue;
    throw std::invalid_argument(std::to_string(streams) + " streams cannot be measured: the number goes from 1 to " +
                                std::to_string(bench_streams_max));
  }
}

void check(const BenchWish& wish) {
  for (const std::uint32_t size : wish.sizes) {
    if (size >= udp_packet_min && size <= bench_size_max) continue;
    throw std::invalid_argument("packets of " + std::to_string(size) +
                                " bytes cannot be measured: the lab's uplink has an MTU of " +
                                std::to_string(BenchLab::uplink_mtu) + ", so that sizes go from " +
                                std::to_string(udp_packet_min) + " to " + std::to_string(bench_size_max));
  }
  for (const unsigned queues : wish.queues) {
    if (queues >= 1 && queues <= queues_max) continue;
    throw std::invalid_argument("a device cannot have " + std::to_string(queues) +
                                " queues: the number goes from 1 to " + std::to_string(queues_max));
  }
  check_streams(wish);
}

/// Where all is measured: the value that people use, or the nearest to it that was asked for.
template <class T>
T middle_of(const std::vector<T>& values, T usual) {
  return std::ranges::find(values, usual) != values.end() ? usual : values.back();
}

class Planner {
 public:
  Planner(BenchKind kind, Dimensions all, std::uint32_t mtu) : kind_(kind), all_(std::move(all)), mtu_(mtu) {
    for (const std::uint32_t size : all_.sizes) (size <= mtu_ ? small_ : large_).push_back(size);
  }

  /// All that is measured in the middle, of sizes that fit.
  [[nodiscard]] BenchStage middle(const Arrangement& arrangement) const {
    BenchStage stage{arrangement, {}};
    add_middle(stage);
    return stage;
  }

  std::vector<BenchStage> make() {
    add_uplink();
    for (const BenchMode mode : all_.modes) {
      for (const CipherSuite cipher : all_.ciphers) {
        for (const OffloadRung rung : all_.offloads) {
          for (const unsigned queues : all_.queues) add({mode, cipher, rung, queues, mtu_});
        }
      }
      for (const std::uint32_t size : large_) add_large(mode, size);
    }
    return std::move(stages_);
  }

 private:
  static BenchStep tcp(Measure measure, unsigned streams, std::uint32_t mtu) {
    return {BenchStep::Kind::Tcp, measure, streams, mtu, false};
  }
  static BenchStep rates(std::uint32_t size, unsigned flows) {
    return {BenchStep::Kind::Rates, Measure::RateWithoutLoss, flows, size, false};
  }

  void add_uplink() {
    BenchStage stage{{BenchMode::Uplink, {}, {}, 1, BenchLab::uplink_mtu}, {}};
    for (const unsigned streams : all_.streams) {
      for (const Measure measure : {Measure::TcpUp, Measure::TcpDown, Measure::TcpBoth}) {
        const bool is_in_middle = streams == all_.streams.front()
                                      ? kind_ != BenchKind::Quick || measure != Measure::TcpBoth
                                      : measure == Measure::TcpUp;
        if (kind_ == BenchKind::Full || is_in_middle)
          stage.steps.push_back(tcp(measure, streams, BenchLab::uplink_mtu));
      }
    }
    for (const std::uint32_t size : all_.sizes) stage.steps.push_back(rates(size, all_.streams.front()));
    stage.steps.push_back(round_trips(small_.empty() ? large_.back() : small_.back()));
    BenchStep timestamps = rates(all_.sizes.front(), all_.streams.front());
    timestamps.kind = BenchStep::Kind::Timestamps;
    stage.steps.push_back(timestamps);
    stages_.push_back(std::move(stage));
  }

  [[nodiscard]] BenchStep round_trips(std::uint32_t size) const {
    BenchStep step = rates(size, all_.streams.front());
    step.kind = BenchStep::Kind::RoundTrips;
    return step;
  }

  void add(const Arrangement& arrangement) {
    const bool is_other_cipher = arrangement.cipher != middle_of(all_.ciphers, CipherSuite::ChaCha20Poly1305);
    const bool is_other_rung = arrangement.offloads != middle_of(all_.offloads, OffloadRung::On);
    const bool is_between = arrangement.offloads == OffloadRung::Udp || arrangement.offloads == OffloadRung::Device;
    const bool is_other_queues = arrangement.queues != middle_of(all_.queues, 1U);
    const int distance = is_other_cipher + is_other_rung + is_other_queues;
    const bool is_bridged = arrangement.mode == BenchMode::BridgedTap;
    BenchStage stage{arrangement, {}};
    if (kind_ == BenchKind::Full) {
      add_everything(stage);
    } else if (distance == 0) {
      add_middle(stage);
    } else if (kind_ == BenchKind::Quick) {
      if (distance == 1 && !is_bridged) stage.steps.push_back(tcp(Measure::TcpUp, all_.streams.front(), mtu_));
    } else if (is_other_queues) {
      if (distance == 1 && !is_bridged) {
        stage.steps.push_back(tcp(Measure::TcpUp, all_.streams.back(), mtu_));
        if (!small_.empty()) stage.steps.push_back(rates(small_.front(), all_.streams.back()));
      }
    } else if (distance == 1) {
      stage.steps.push_back(tcp(Measure::TcpUp, all_.streams.front(), mtu_));
      if (!is_bridged) stage.steps.push_back(tcp(Measure::TcpDown, all_.streams.front(), mtu_));
      if (!is_between && !is_bridged) add_ends_of_sizes(stage);
    } else if (!is_between && !is_bridged) {
      stage.steps.push_back(tcp(Measure::TcpUp, all_.streams.front(), mtu_));
    }
    if (!stage.steps.empty()) stages_.push_back(std::move(stage));
  }

  void add_ends_of_sizes(BenchStage& stage) const {
    if (small_.empty()) return;
    stage.steps.push_back(rates(small_.front(), all_.streams.front()));
    if (small_.size() > 1) stage.steps.push_back(rates(small_.back(), all_.streams.front()));
  }

  void add_middle(BenchStage& stage) const {
    stage.steps.push_back(tcp(Measure::TcpUp, all_.streams.front(), mtu_));
    stage.steps.back().is_profiled = true;
    stage.steps.push_back(tcp(Measure::TcpDown, all_.streams.front(), mtu_));
    if (kind_ != BenchKind::Quick) stage.steps.push_back(tcp(Measure::TcpBoth, all_.streams.front(), mtu_));
    for (std::size_t i = 1; i < all_.streams.size(); ++i) {
      stage.steps.push_back(tcp(Measure::TcpUp, all_.streams[i], mtu_));
    }
    for (const std::uint32_t size : small_) stage.steps.push_back(rates(size, all_.streams.front()));
    if (small_.empty()) return;
    for (BenchStep& step : stage.steps) step.is_profiled |= step == rates(small_.front(), all_.streams.front());
    stage.steps.push_back(round_trips(small_.back()));
  }

  void add_everything(BenchStage& stage) const {
    // Only main threads are looked at.
    const bool is_profiled = stage.arrangement.queues == 1;
    for (const unsigned streams : all_.streams) {
      for (const Measure measure : {Measure::TcpUp, Measure::TcpDown, Measure::TcpBoth}) {
        stage.steps.push_back(tcp(measure, streams, mtu_));
        stage.steps.back().is_profiled = is_profiled;
      }
      for (const std::uint32_t size : small_) {
        stage.steps.push_back(rates(size, streams));
        stage.steps.back().is_profiled = is_profiled;
      }
    }
    if (!small_.empty()) stage.steps.push_back(round_trips(small_.back()));
  }

  void add_large(BenchMode mode, std::uint32_t size) {
    const auto stage_for = [&](CipherSuite cipher, OffloadRung rung, unsigned queues) {
      return BenchStage{{mode, cipher, rung, queues, size}, {}};
    };
    if (kind_ == BenchKind::Full) {
      for (const CipherSuite cipher : all_.ciphers) {
        for (const OffloadRung rung : all_.offloads) {
          for (const unsigned queues : all_.queues) {
            BenchStage stage = stage_for(cipher, rung, queues);
            for (const unsigned streams : all_.streams) {
              stage.steps.push_back(tcp(Measure::TcpUp, streams, size));
              stage.steps.push_back(rates(size, streams));
            }
            stages_.push_back(std::move(stage));
          }
        }
      }
      return;
    }
    BenchStage stage = stage_for(middle_of(all_.ciphers, CipherSuite::ChaCha20Poly1305),
                                 middle_of(all_.offloads, OffloadRung::On), middle_of(all_.queues, 1U));
    stage.steps.push_back(tcp(Measure::TcpUp, all_.streams.front(), size));
    stage.steps.push_back(rates(size, all_.streams.front()));
    stages_.push_back(std::move(stage));
  }

  BenchKind kind_;
  Dimensions all_;
  std::uint32_t mtu_;
  std::vector<std::uint32_t> small_, large_;  ///< sizes up to the usual MTU, and above
  std::vector<BenchStage> stages_;
};

}  // namespace

std::vector<BenchStage> plan_of(const BenchWish& wish) {
  check(wish);
  return Planner(wish.kind, dimensions_of(wish), usual_mtu).make();
}

void check_for_tunnel(const BenchWish& wish) {
  if (!wish.modes.empty() || !wish.ciphers.empty() || !wish.offloads.empty() || !wish.queues.empty()) {
    throw std::invalid_argument(
        "a tunnel that is there is measured as it is: leave out --mode, --cipher, --offloads and --queues, which are "
        "for the lab");
  }
  if (wish.kind == BenchKind::Full) {
    throw std::invalid_argument("a tunnel that is there has no combinations: leave out --full, which is for the lab");
  }
  for (const std::uint32_t size : wish.sizes) {
    if (size >= udp_packet_min) continue;
    throw std::invalid_argument("packets of " + std::to_string(size) + " bytes cannot be measured: the least is " +
                                std::to_string(udp_packet_min));
  }
  check_streams(wish);
}

std::vector<BenchStage> plan_of_tunnel(const BenchWish& wish, const Arrangement& tunnel) {
  check_for_tunnel(wish);
  for (const std::uint32_t size : wish.sizes) {
    if (size <= tunnel.mtu) continue;
    throw std::invalid_argument("packets of " + std::to_string(size) +
                                " bytes do not fit through the tunnel, whose MTU is " + std::to_string(tunnel.mtu));
  }
  Dimensions dimensions = dimensions_of(wish);
  if (wish.sizes.empty()) {
    std::erase_if(dimensions.sizes, [&](std::uint32_t size) { return size >= tunnel.mtu; });
    dimensions.sizes.push_back(tunnel.mtu);
  }
  return {Planner(wish.kind, std::move(dimensions), tunnel.mtu).middle(tunnel)};
}

std::chrono::milliseconds expected_time(const BenchStep& step, const TrialTimes& times) noexcept {
  // Sockets, threads, and waiting for the last packets.
  constexpr std::chrono::milliseconds around{30};
  constexpr int trials_of_search = 6;
  switch (step.kind) {
    case BenchStep::Kind::Tcp:
      return times.warm_up + times.tcp + around;
    case BenchStep::Kind::Rates:
      return trials_of_search * (times.udp + around);
    case BenchStep::Kind::RoundTrips:
      return 3 * (times.round_trips + around);
    case BenchStep::Kind::Timestamps:
      break;
  }
  return 8 * (times.udp / 2 + around);
}

BenchMode bench_mode_of(std::string_view word) {
  for (const BenchMode mode : {BenchMode::Tun, BenchMode::Tap, BenchMode::BridgedTap}) {
    if (word == to_string(mode)) return mode;
  }
  if (word == "tun+bridge") {
    throw std::invalid_argument(
        "tun+bridge is impossible: a bridge forwards Ethernet frames, and a tun device has none (try tap+bridge)");
  }
  throw std::invalid_argument("'" + std::string(word) + "' is no mode: expected tun, tap or tap+bridge");
}

OffloadRung offload_rung_of(std::string_view word) {
  for (const OffloadRung rung : {OffloadRung::Off, OffloadRung::Udp, OffloadRung::Device, OffloadRung::On}) {
    if (word == to_string(rung)) return rung;
  }
  throw std::invalid_argument("'" + std::string(word) + "' is no choice of offloads: expected off, udp, device or on");
}

}  // namespace culvert
