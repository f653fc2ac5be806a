// Host names of endpoints: a thread that asks.
#include "culvert/runtime/endpoint_lookup.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>

#include <boost/asio/post.hpp>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

#include "resolver.hpp"

namespace culvert {

struct EndpointLookup::State {
  struct Request {
    std::string host;
    std::uint16_t port;
    std::uint32_t mark;
    Answer answer;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Request> requests;
  boost::asio::io_context* io = nullptr;  ///< null: the owner is gone
  UniqueFd network_namespace;
  std::vector<Address> former_servers;

  void run();
};

void EndpointLookup::State::run() {
  // Fails only where the caller could not have bound its socket either.
  if (network_namespace.is_open()) ::setns(network_namespace.get(), CLONE_NEWNET);
  network_namespace.reset();
  std::unique_lock lock(mutex);
  while (io) {
    if (requests.empty()) {
      changed.wait(lock);
      continue;
    }
    Request request = std::move(requests.front());
    requests.pop_front();
    lock.unlock();
    FoundEndpoints found = resolve(request.host, request.port, {request.mark, former_servers});
    lock.lock();
    if (io) {
      boost::asio::post(
          *io, [answer = std::move(request.answer), found = std::move(found)]() mutable { answer(std::move(found)); });
    }
  }
}

EndpointLookup::EndpointLookup(boost::asio::io_context& io, const NetworkNamespace& there)
    : state_(std::make_shared<State>()) {
  state_->io = &io;
  state_->former_servers = name_servers();
  state_->network_namespace = UniqueFd(::fcntl(there.fd(), F_DUPFD_CLOEXEC, 3));
  if (!state_->network_namespace.is_open()) {
    throw std::system_error(errno, std::system_category(), "starting the resolver thread");
  }
  // Signals are for the main thread.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([state = state_] { state->run(); }).detach();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

EndpointLookup::~EndpointLookup() {
  const std::lock_guard lock(state_->mutex);
  state_->io = nullptr;
  state_->changed.notify_all();
}

void EndpointLookup::look_up(std::string host, std::uint16_t port, std::uint32_t mark, Answer answer) {
  const std::lock_guard lock(state_->mutex);
  state_->requests.push_back({std::move(host), port, mark, std::move(answer)});
  state_->changed.notify_all();
}

}  // namespace culvert
