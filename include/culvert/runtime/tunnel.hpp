// One tunnel: device, sockets, engine and worker, from a config file to its undoing.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <string>
#include <unordered_map>

#include "culvert/config/config_file.hpp"
#include "culvert/io/tun_device.hpp"
#include "culvert/netns/network_namespace.hpp"
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

 private:
  /// What the runtime keeps about a peer beside the engine.
  struct PeerState {
    bool is_up = false;
    LogLimit mismatch_log{1, std::chrono::seconds(60)};
  };

  void apply_config();
  void on_event(const Event& event);
  void restore_tun();

  Config config_;
  std::string name_;
  DeviceSetup setup_;
  NetworkNamespace device_namespace_;
  Device device_;
  std::optional<TunDevice> tun_;
  PeerEndpoints endpoints_;
  boost::asio::steady_timer device_retry_;
  std::unordered_map<PublicKey, PeerState> peers_;
  LogLimit event_log_;
  LogLimit device_log_{1, std::chrono::seconds(60)};
};

}  // namespace culvert
