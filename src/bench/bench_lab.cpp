// Namespaces, cable, bridges, and the two ends of a tunnel.
#include "culvert/bench/bench_lab.hpp"

#include <sys/mount.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "culvert/bench/engine_process.hpp"
#include "culvert/bench/local_path.hpp"
#include "culvert/crypto/key_exchange.hpp"
#include "culvert/crypto/system_random.hpp"
#include "culvert/io/netlink.hpp"
#include "culvert/netns/link_setup.hpp"
#include "culvert/unshare/mounts.hpp"

namespace culvert {
namespace {

constexpr const char* state_folder = "/tmp";
constexpr const char* device_name = "tunnel";
constexpr const char* uplink_name = "uplink";
constexpr const char* bridge_name = "bridge";
constexpr std::uint16_t port = 51820;
constexpr std::uint8_t prefix_length = 24;

/// Which of the two: its number is the last byte of all its addresses.
enum class Side : std::uint8_t { Near = 1, Far = 2 };

Prefix uplink_address(Side side) {
  return *Prefix::parse("10.0.0." + std::to_string(static_cast<int>(side)) + "/24");
}
Prefix tunnel_address(Side side) {
  return *Prefix::parse("10.9.0." + std::to_string(static_cast<int>(side)) + "/24");
}

void bring_up_lo(const NetworkNamespace& space) {
  Netlink netlink = netlink_in(space);
  if (const auto lo = netlink.find_link("lo")) netlink.set_up(lo->index, true);
}

NetworkNamespace make_host() {
  NetworkNamespace host = NetworkNamespace::create();
  bring_up_lo(host);
  return host;
}

VethPair make_uplink(const NetworkNamespace& near, const NetworkNamespace& far) {
  NewVeth wish{
      {near, uplink_name}, {far, uplink_name}, {uplink_address(Side::Near)}, {uplink_address(Side::Far)}, {}, true};
  wish.mtu = BenchLab::uplink_mtu;
  return make_veth(wish);
}

OffloadChoice choice_of(OffloadRung rung) {
  return {rung == OffloadRung::On || rung == OffloadRung::Device, rung == OffloadRung::On || rung == OffloadRung::Udp};
}

Config config_of(const Arrangement& arrangement, Side own, SecretKey key, const PublicKey& peer_key,
                 const NetworkNamespace& uplink_space) {
  const Side other = own == Side::Near ? Side::Far : Side::Near;
  Config config;
  config.path = "culvert bench";
  config.private_key = std::move(key);
  config.listen_port = port;
  config.socket_namespace = "/proc/self/fd/" + std::to_string(uplink_space.fd());
  config.mtu = static_cast<std::uint16_t>(arrangement.mtu);
  config.mode = arrangement.mode == BenchMode::Tun ? DeviceMode::Routed : DeviceMode::Switched;
  if (arrangement.mode == BenchMode::BridgedTap) {
    config.bridge = bridge_name;
  } else {
    config.addresses = {tunnel_address(own)};
  }
  config.cipher = arrangement.cipher;
  config.insecure = arrangement.cipher == CipherSuite::None;
  config.queues = static_cast<std::uint16_t>(arrangement.queues);
  config.offloads = choice_of(arrangement.offloads);
  PeerConfig peer;
  peer.public_key = peer_key;
  if (arrangement.mode == BenchMode::Tun) peer.allowed_ips = {tunnel_address(other).masked()};
  EndpointName endpoint;
  endpoint.host = uplink_address(other).address.to_string();
  endpoint.port = port;
  endpoint.literal = Endpoint{uplink_address(other).address, port, 0};
  peer.endpoint = endpoint;
  config.peers.push_back(std::move(peer));
  return config;
}

/// A host behind a port of a bridge.
NetworkNamespace make_bridged_host(const NetworkNamespace& gateway, Side side, std::uint32_t mtu) {
  NetworkNamespace host = make_host();
  make_bridge(gateway, NewBridge{bridge_name, {}, {}, mtu, false, true});
  NewVeth wish{{gateway, "port"}, {host, device_name}, {}, {tunnel_address(side)}, mtu, true};
  // It goes with the host.
  make_veth(wish).keep();
  add_ports(gateway, bridge_name, {"port"});
  return host;
}

class LabTunnel final : public MeasuredTunnel {
 public:
  LabTunnel(std::unique_ptr<MeasuredPath> path, std::vector<EngineProcess> engines, std::vector<NetworkNamespace> hosts)
      : hosts_(std::move(hosts)), engines_(std::move(engines)), path_(std::move(path)) {}

  MeasuredPath& path() override { return *path_; }
  std::optional<EngineCost> cost() override {
    if (engines_.empty()) return std::nullopt;
    EngineCost both;
    for (EngineProcess& engine : engines_) both += engine.cost();
    return both;
  }
  std::vector<pid_t> processes() const override {
    std::vector<pid_t> all;
    for (const EngineProcess& engine : engines_) all.push_back(engine.pid());
    return all;
  }
  std::optional<EnginePaths> paths() const override {
    return engines_.empty() ? std::nullopt : std::optional(engines_.front().paths());
  }

 private:
  std::vector<NetworkNamespace> hosts_;  ///< with the devices, and behind these
  std::vector<EngineProcess> engines_;
  std::unique_ptr<MeasuredPath> path_;
};

void await_answer(MeasuredPath& path) {
  RoundTripTrial trial;
  trial.duration = std::chrono::milliseconds(1);
  constexpr int tries = 6;
  for (int i = 0; i < tries; ++i) {
    if (!path.run(trial).times.empty()) return;
  }
  throw std::runtime_error("the tunnel carries nothing from one end to the other");
}

}  // namespace

BenchLab::Folders::Folders() {
  keep_mounts_to_oneself();
  for (const char* folder : {"/run", state_folder}) {
    if (::mount("culvert-bench", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") == 0) continue;
    throw std::system_error(errno, std::system_category(), "cannot mount memory on " + std::string(folder));
  }
}

BenchLab::BenchLab() : near_(make_host()), far_(make_host()), uplink_(make_uplink(near_, far_)) {}

std::unique_ptr<MeasuredTunnel> BenchLab::open(const Arrangement& arrangement) {
  const auto path_between = [](const NetworkNamespace& near, const NetworkNamespace& far, const auto& address_of) {
    return std::make_unique<LocalPath>(LocalEnd{near, {address_of(Side::Near).address, {}}},
                                       LocalEnd{far, {address_of(Side::Far).address, {}}});
  };
  if (arrangement.mode == BenchMode::Uplink) {
    return std::make_unique<LabTunnel>(path_between(near_, far_, uplink_address), std::vector<EngineProcess>(),
                                       std::vector<NetworkNamespace>());
  }
  SystemRandom random;
  SecretKey near_key = generate_secret_key(random);
  SecretKey far_key = generate_secret_key(random);
  const PublicKey near_public = public_key_of(near_key);
  const PublicKey far_public = public_key_of(far_key);
  // The devices have namespaces of their own, so that all that belongs to them goes with these.
  std::vector<NetworkNamespace> hosts;
  hosts.push_back(make_host());
  hosts.push_back(make_host());
  if (arrangement.mode == BenchMode::BridgedTap) {
    hosts.push_back(make_bridged_host(hosts[0], Side::Near, arrangement.mtu));
    hosts.push_back(make_bridged_host(hosts[1], Side::Far, arrangement.mtu));
  }
  std::vector<EngineProcess> engines;
  engines.push_back(EngineProcess::start(
      hosts[0], config_of(arrangement, Side::Near, std::move(near_key), far_public, near_), device_name, state_folder));
  engines.push_back(EngineProcess::start(
      hosts[1], config_of(arrangement, Side::Far, std::move(far_key), near_public, far_), device_name, state_folder));
  auto path = path_between(hosts[hosts.size() - 2], hosts.back(), tunnel_address);
  auto tunnel = std::make_unique<LabTunnel>(std::move(path), std::move(engines), std::move(hosts));
  await_answer(tunnel->path());
  return tunnel;
}

}  // namespace culvert
