// Workers beside the first one: a thread each, with a socket pair and a queue of the device of its own.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "culvert/base/drop_reason.hpp"
#include "culvert/io/tun_device.hpp"
#include "culvert/io/udp_socket.hpp"
#include "culvert/runtime/shared_engine.hpp"

namespace culvert {

/// Runs from construction to destruction, or stop(). Everything else is left to the first worker.
class WorkerPool {
 public:
  /// One worker for each pair of `sockets`, with a queue of `device` from number 1 on. `engine` is shared; `sockets`
  /// and `device` outlive the pool. `notify` is called on a worker's thread when the first worker has something to
  /// attend to. `busy_poll` as run_busily() has it. Throws std::system_error.
  WorkerPool(SharedEngine& engine, std::span<UdpSocketPair> sockets, TunDevice& device, std::function<void()> notify,
             std::chrono::microseconds busy_poll = {});
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Waits until the threads have ended: nothing is carried any more. Not during a turn at the engine.
  void stop() noexcept;
  /// Of all of them; during a turn at the engine, or after stop().
  void add_drops(DropCounters& drops) const noexcept;
  [[nodiscard]] std::uint64_t system_calls() const noexcept;

 private:
  struct Helper;
  std::vector<std::unique_ptr<Helper>> helpers_;
};

}  // namespace culvert
