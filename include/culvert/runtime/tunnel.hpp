// One tunnel: device, sockets, engine and worker, from a config file to its undoing.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <string>
#include <unordered_map>

#include "culvert/config/config_file.hpp"
#include "culvert/io/tun_device.hpp"
#include "culvert/netns/network_namespace.hpp"
#include "culvert/runtime/bench_host.hpp"
#include "culvert/runtime/bench_question.hpp"
#include "culvert/runtime/device.hpp"
#include "culvert/runtime/device_setup.hpp"
#include "culvert/runtime/peer_endpoints.hpp"

namespace culvert {

/// Everything is set up by the constructor and undone by the destructor, or by the kernel when the process is killed:
/// the device lives as long as its descriptor. Lives on the thread that runs `io`; the io_context has stopped when it
/// is destroyed.
class Tunnel {
 public:
  /// Throws ConfigError or std::system_error; then nothing is left. `io` outlives the tunnel.
  Tunnel(boost::asio::io_context& io, Config config, std::string name, DeviceSetup setup = {});
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const Config& config() const noexcept { return config_; }
  [[nodiscard]] Device& device() noexcept { return device_; }

  /// Whether a peer lets this end measure the tunnel. The tunnel outlives the answer, or the io_context has stopped.
  [[nodiscard]] boost::asio::awaitable<BenchReply> ask_for_bench(PublicKey peer) { return question_.ask(peer); }

  /// Puts keys, port, mark, peers and SocketNamespace of `wanted` in force between two packets, or nothing of it and
  /// returns why, or throws std::exception if it cannot have the namespace. Peers
  /// that stay keep their sessions; their endpoint changes only if the file's differs from that of config().
  [[nodiscard]] Result<void> apply(const Config& wanted);
  /// `config`, which is in force, is what counts from now on; its default routes are in `default_route_table`.
  void keep(Config config, std::uint32_t default_route_table);
  /// Back to what the device had before apply(): `was` says so, with the endpoints of that moment.
  void go_back(const Config& was);

 private:
  /// What the runtime keeps about a peer beside the engine.
  struct PeerState {
    bool is_up = false;
    LogLimit mismatch_log{1, std::chrono::seconds(60)};
    LogLimit mode_log{1, std::chrono::seconds(60)};
  };

  void follow(const Config& before, const Config& now);
  [[nodiscard]] Result<void> move_sockets(DeviceChange&& change, NetworkNamespace there);
  void label(const Config& config);
  void offer_bench();
  void on_event(const Event& event);
  void restore_tun();
  void restore_routes();

  Config config_;
  std::string name_;
  DeviceSetup setup_;
  NetworkNamespace device_namespace_;
  Device device_;
  std::optional<NetworkNamespace> former_socket_namespace_;  ///< between apply() and keep()
  std::optional<TunDevice> tun_;
  PeerEndpoints endpoints_;
  BenchHost bench_host_;
  BenchQuestion question_;
  boost::asio::steady_timer device_retry_;
  std::unordered_map<PublicKey, PeerState> peers_;
  LogLimit event_log_;
  LogLimit device_log_{1, std::chrono::seconds(60)};
};

}  // namespace culvert
