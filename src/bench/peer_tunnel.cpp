// Measuring through a daemon's tunnel, and asking the daemon what that cost it.
#include "culvert/bench/peer_tunnel.hpp"

#include <algorithm>
#include <charconv>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "culvert/bench/processor_time.hpp"
#include "culvert/quick/control_client.hpp"

namespace culvert {
namespace {

std::uint64_t number_of(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// What the daemon says of itself on its control socket.
EngineCost cost_of(const std::string& tunnel) {
  constexpr std::string_view drop = "culvert_drop_";
  EngineCost cost;
  const WipedString answer = ask_tunnel(tunnel, "get=1\n\n");
  for (std::string_view rest = answer; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, equals);
    const std::uint64_t value = number_of(line.substr(equals + 1));
    if (key == "culvert_system_calls") cost.system_calls = value;
    if (key == "culvert_pid") cost.processor = processor_time_of(static_cast<pid_t>(value));
    if (key.starts_with(drop)) cost.drops[std::string(key.substr(drop.size()))] = value;
  }
  return cost;
}

class PeerTunnel final : public MeasuredTunnel {
 public:
  PeerTunnel(MeasuredPath& path, std::string tunnel) : path_(path), tunnel_(std::move(tunnel)) {}
  MeasuredPath& path() override { return path_; }
  std::optional<EngineCost> cost() override { return cost_of(tunnel_); }

 private:
  MeasuredPath& path_;
  std::string tunnel_;
};

}  // namespace

Arrangement arrangement_of(const BenchTunnel& tunnel) {
  Arrangement arrangement;
  arrangement.mode = tunnel.mode == to_string(BenchMode::Tap) ? BenchMode::Tap : BenchMode::Tun;
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
  const auto open = [&](const Arrangement&) { return std::make_unique<PeerTunnel>(*connected.path, there.name); };
  BenchResult result = sweep(open, plan, settings, on_progress);
  result.machine.offloads = there.offloads;
  result.notes.insert(result.notes.begin(),
                      "Measured through tunnel " + there.name + " to " + there.peer + " (" + there.far_address +
                          "), up from here to there. Processor time and system calls are those of this end alone.");
  if (there.rate_limit != 0) {
    result.notes.push_back("The peer allows " + std::to_string(there.rate_limit / 1'000'000) +
                           " Mbit/s in each direction (AllowBench): what reaches that says nothing of the tunnel.");
  }
  return result;
}

}  // namespace culvert
