// Threads with workers.
#include "culvert/runtime/worker_pool.hpp"

#include <pthread.h>

#include <boost/asio/executor_work_guard.hpp>
#include <csignal>
#include <thread>

#include "culvert/runtime/busy_poll.hpp"
#include "culvert/runtime/worker.hpp"

namespace culvert {
namespace asio = boost::asio;

struct WorkerPool::Helper {
  Helper(SharedEngine& engine, UdpSocketPair& sockets, TunDevice& queue, const std::function<void()>& notify,
         std::chrono::microseconds busy_poll)
      : worker(io, engine, sockets, notify) {
    worker.set_device(&queue);
    // Signals are for the main thread.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread = std::thread([this, busy_poll] { run_busily(io, busy_poll); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~Helper() {
    io.stop();
    thread.join();
    worker.set_device(nullptr);
  }

  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard = asio::make_work_guard(io);
  Worker worker;
  std::thread thread;
};

WorkerPool::WorkerPool(SharedEngine& engine, std::span<UdpSocketPair> sockets, TunDevice& device,
                       std::function<void()> notify, std::chrono::microseconds busy_poll) {
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    helpers_.push_back(std::make_unique<Helper>(engine, sockets[i], device.queue(i + 1), notify, busy_poll));
  }
}

WorkerPool::~WorkerPool() = default;

void WorkerPool::add_drops(DropCounters& drops) const noexcept {
  for (const auto& helper : helpers_) drops.add(helper->worker.drops());
}

}  // namespace culvert
