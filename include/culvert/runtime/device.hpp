// A WireGuard device at work: engine, sockets and worker, and the TUN device it carries frames of.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "culvert/crypto/system_random.hpp"
#include "culvert/io/link_monitor.hpp"
#include "culvert/io/tun_device.hpp"
#include "culvert/io/udp_socket.hpp"
#include "culvert/netns/network_namespace.hpp"
#include "culvert/runtime/log.hpp"
#include "culvert/runtime/route_follower.hpp"
#include "culvert/runtime/shared_engine.hpp"
#include "culvert/runtime/timestamp_store.hpp"
#include "culvert/runtime/worker.hpp"
#include "culvert/runtime/worker_pool.hpp"

namespace culvert {

/// Where device and sockets are, in the words of the user, and what the user calls the peers; for status only.
struct DeviceLabels {
  std::string device_namespace;
  std::string socket_namespace;
  std::unordered_map<PublicKey, std::string> peers;
  /// Of a tunnel for one command: how the device is called in the command's namespace, which one that is (the inode of
  /// its identity; 0: not known), and the command.
  std::string device;
  std::uint64_t device_home = 0;
  std::string command;

  /// The peer's name in printable form, or the beginning of its key.
  [[nodiscard]] std::string of(const PublicKey& peer) const;
};

/// What carries packets in pieces larger than one, for status: words, or why there are none.
struct DataPath {
  std::string device;
  std::string sending;
  std::string receiving;
};

/// Lives on the thread that runs `io`; the io_context has stopped when it is destroyed.
class Device {
 public:
  /// Binds sockets in `socket_namespace` to `listen_port` (0: any that is free), `with_offloads` of the kernel or
  /// without. Throws std::system_error. `io` outlives the device. `writer` writes to disk, so that packets do not wait
  /// for that; whoever lets go of it last does.
  /// `workers`: threads that carry packets while there is a TUN device with as many queues.
  Device(boost::asio::io_context& io, NetworkNamespace socket_namespace, std::uint16_t listen_port,
         std::uint32_t firewall_mark, bool with_offloads = true, std::size_t workers = 1,
         std::shared_ptr<BackgroundWriter> writer = std::make_shared<BackgroundWriter>());
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// Called after each burst for each event of the engine.
  std::function<void(const Event&)> on_event;
  /// Called when the TUN device turns out to be deleted; it is not carried any more by then.
  std::function<void()> on_device_lost;
  /// Called when the device had been set down and is up again, wherever it is then. Does not throw.
  std::function<void()> on_link_up;

  /// Makes all of the change, or none of it and returns why: the port is taken, the mark not permitted.
  /// With `elsewhere` sockets are bound in that namespace, which then holds the one they were in before: on the port
  /// that the change names, else on the present one, or any if that is taken there. Sessions go on; peers learn by
  /// roaming.
  [[nodiscard]] Result<void> apply(DeviceChange&& change, NetworkNamespace* elsewhere = nullptr);

  /// Carries frames of `tun` from now on and follows its MTU, also into other namespaces; null: of none. It outlives
  /// this choice. `mtu` is what counts where this process may not look into the device's namespace. Throws
  /// std::system_error.
  void carry(TunDevice* tun, std::optional<std::uint32_t> mtu = std::nullopt);

  /// After something was asked of the engine that is due at once.
  void settings_changed() { worker_.settings_changed(); }

  /// For as long as the result lives no packet is decided about.
  [[nodiscard]] SharedEngine::Turn engine() noexcept { return engine_.take(); }
  [[nodiscard]] const UdpSocketPair& sockets() const noexcept { return sockets_.front(); }
  [[nodiscard]] const NetworkNamespace& socket_namespace() const noexcept { return socket_namespace_; }
  [[nodiscard]] std::uint32_t firewall_mark() const noexcept { return firewall_mark_; }
  [[nodiscard]] DropCounters drops() noexcept;
  /// System calls for packets so far, of all workers.
  [[nodiscard]] std::uint64_t system_calls() noexcept;
  [[nodiscard]] std::size_t workers() const noexcept { return sockets_.size(); }
  /// How many of them carry packets at present.
  [[nodiscard]] std::size_t busy_workers() const noexcept { return helpers_ ? workers() : 1; }
  [[nodiscard]] DataPath data_path() const;

  DeviceLabels labels;
  /// How long workers beside the first look for packets before they sleep; as run_busily() has it.
  std::chrono::microseconds busy_poll{0};
  /// Keeps processors awake during conversations from now on, where that does good and is permitted.
  void keep_awake() { worker_.wakefulness = wakefulness_here(io_); }

 private:
  void handle(const Event& event);
  void remember_timestamps();
  [[nodiscard]] Result<void> change_sockets(const DeviceChange& change, NetworkNamespace* elsewhere);
  void start_helpers();
  void stop_helpers();
  void watch_links();
  void retry_watching_links();
  /// What the kernel says of the device now.
  void take_link(std::uint32_t mtu, bool is_up) noexcept;
  boost::asio::awaitable<void> follow_links(std::shared_ptr<boost::asio::posix::stream_descriptor> ready);

  boost::asio::io_context& io_;
  NetworkNamespace socket_namespace_;
  SystemRandom random_;
  SharedEngine engine_;
  std::vector<UdpSocketPair> sockets_;  ///< one pair for each worker
  std::uint32_t firewall_mark_;
  bool with_offloads_;
  std::shared_ptr<BackgroundWriter> writer_;  ///< of the timestamps of all keys that there were
  std::optional<TimestampStore> timestamps_;
  Worker worker_;
  RouteFollower routes_;
  TunDevice* tun_ = nullptr;
  std::optional<std::uint32_t> known_mtu_;
  bool is_set_down_ = false;
  std::optional<WorkerPool> helpers_;
  DropCounters lost_by_former_helpers_;
  std::uint64_t calls_of_former_helpers_ = 0;
  std::atomic<bool> is_notified_ = false;
  boost::asio::steady_timer links_retry_;
  LogLimit links_log_{1, std::chrono::seconds(60)};
  std::optional<LinkMonitor> links_;
  std::shared_ptr<boost::asio::posix::stream_descriptor> links_ready_;
};

}  // namespace culvert
