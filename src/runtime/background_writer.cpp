// A thread for what may have to wait for a disk.
#include "culvert/runtime/background_writer.hpp"

#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace culvert {

/// Shared with the thread, which may outlive the writer.
struct BackgroundWriter::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> jobs;
  bool is_ending = false;
  bool has_ended = false;

  void work();
};

BackgroundWriter::BackgroundWriter(std::chrono::milliseconds patience)
    : patience_(patience), state_(std::make_shared<State>()) {
  // Signals are for the threads that wait for them.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([state = state_] { state->work(); }).detach();
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

BackgroundWriter::~BackgroundWriter() {
  std::unique_lock lock(state_->mutex);
  state_->is_ending = true;
  state_->changed.notify_all();
  if (state_->changed.wait_for(lock, patience_, [this] { return state_->has_ended; })) return;
  state_->jobs.clear();
  lock.unlock();
  spdlog::warn("a write to disk does not end; it is not waited for any longer");
}

void BackgroundWriter::post(std::function<void()> job) {
  const std::lock_guard lock(state_->mutex);
  state_->jobs.push_back(std::move(job));
  state_->changed.notify_all();
}

void BackgroundWriter::State::work() {
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [this] { return is_ending || !jobs.empty(); });
    if (jobs.empty()) break;
    const std::function<void()> job = std::move(jobs.front());
    jobs.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
  has_ended = true;
  changed.notify_all();
}

}  // namespace culvert
