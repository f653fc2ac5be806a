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
namespace {

/// Threads that are begun meanwhile leave signals to others.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

struct WorkerPool::Helper {
  Helper(SharedEngine& engine, UdpSocketPair& sockets, TunDevice& queue, const std::function<void()>& notify,
         std::chrono::microseconds busy_poll)
      : worker(io, engine, sockets, notify) {
    worker.set_device(&queue);
    const SignalsBlocked meanwhile;  // They are for the main thread.
    thread = std::thread([this, busy_poll] { run_busily(io, busy_poll); });
  }
  ~Helper() {
    stop();
    worker.set_device(nullptr);
  }
  void stop() noexcept {
    io.stop();
    if (thread.joinable()) thread.join();
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

void WorkerPool::stop() noexcept {
  for (const auto& helper : helpers_) helper->stop();
}

void WorkerPool::add_drops(DropCounters& drops) const noexcept {
  for (const auto& helper : helpers_) drops.add(helper->worker.drops());
}

std::uint64_t WorkerPool::system_calls() const noexcept {
  std::uint64_t calls = 0;
  for (const auto& helper : helpers_) calls += helper->worker.system_calls();
  return calls;
}

}  // namespace culvert
