// Measuring through a daemon's tunnel, and asking the daemon what that cost it.
#include "culvert/bench/peer_tunnel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "culvert/quick/control_client.hpp"
#include "culvert/runtime/bench_order.hpp"
#include "daemon_costs.hpp"

namespace culvert {
namespace {

bool begins_with(const BenchTunnel& tunnel, std::string_view which, std::string_view word) {
  return std::ranges::any_of(
      tunnel.offloads, [&](const auto& offload) { return offload.first == which && offload.second.starts_with(word); });
}

OffloadRung rung_of(const BenchTunnel& tunnel) {
  const bool has_device = begins_with(tunnel, "device", "TSO");
  if (begins_with(tunnel, "sending", "UDP_SEGMENT")) return has_device ? OffloadRung::On : OffloadRung::Udp;
  return has_device ? OffloadRung::Device : OffloadRung::Off;
}

class PeerTunnel final : public MeasuredTunnel {
 public:
  PeerTunnel(MeasuredPath& path, std::string tunnel) : path_(path), tunnel_(std::move(tunnel)) {}
  MeasuredPath& path() override { return path_; }
  std::optional<EngineCost> cost() override { return costs_.take(ask_tunnel(tunnel_, "get=1\n\n")); }

 private:
  MeasuredPath& path_;
  std::string tunnel_;
  DaemonCosts costs_;
};

}  // namespace

std::string rate_words(std::uint64_t rate) {
  const auto bits = static_cast<double>(rate);
  if (rate >= 1'000'000'000) return fmt::format("{:g} Gbit/s", bits / 1e9);
  if (rate >= 1'000'000) return fmt::format("{:g} Mbit/s", bits / 1e6);
  if (rate >= 1'000) return fmt::format("{:g} kbit/s", bits / 1e3);
  return fmt::format("{} bit/s", rate);
}

Arrangement arrangement_of(const BenchTunnel& tunnel) {
  Arrangement arrangement;
  arrangement.mode = tunnel.mode == to_string(BenchMode::Tap) ? BenchMode::Tap : BenchMode::Tun;
  if (tunnel.is_bridge_port) arrangement.mode = BenchMode::BridgedTap;
  arrangement.offloads = rung_of(tunnel);
  arrangement.queues = tunnel.queues;
  const auto suite = cipher_suite_of(tunnel.cipher);
  if (!suite)
    throw std::runtime_error("the tunnel " + tunnel.name + " has a cipher that is not known: " + tunnel.cipher);
  arrangement.cipher = *suite;
  arrangement.mtu = tunnel.mtu;
  return arrangement;
}

BenchResult measure_peer(const std::string& peer, const std::string& tunnel, const BenchWish& wish,
                         const SweepSettings& settings, const OnSweepProgress& on_progress) {
  BenchPeer connected = connect_to_bench_peer(peer, tunnel);
  const BenchTunnel& there = connected.tunnel;
  const std::vector<BenchStage> plan = plan_of_tunnel(wish, arrangement_of(there));
  std::chrono::milliseconds time{0};
  for (const BenchStep& step : plan.front().steps) time += settings.rounds * expected_time(step, settings.times);
  if (time > std::chrono::seconds(bench_seconds_max)) {
    throw std::invalid_argument(fmt::format("so many rounds take some {} minutes, and a peer lets itself be measured for {}",
                                            time / std::chrono::minutes(1), bench_seconds_max / 60));
  }
  const auto open = [&](const Arrangement&) { return std::make_unique<PeerTunnel>(*connected.path, there.name); };
  BenchResult result = sweep(open, plan, settings, on_progress);
  result.machine.offloads = there.offloads;
  result.notes.insert(result.notes.begin(),
                      "Measured through tunnel " + there.name + " to " + there.peer + " (" + there.far_address +
                          "), up from here to there. Processor time and system calls are those of this end alone.");
  if (there.rate_limit != 0) {
    result.notes.push_back("The peer allows " + rate_words(there.rate_limit) +
                           " in each direction (AllowBench): what reaches that says nothing of the tunnel.");
  }
  return result;
}

}  // namespace culvert
