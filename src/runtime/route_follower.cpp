// Following routing with the source addresses of peers.
#include "culvert/runtime/route_follower.hpp"

#include <fcntl.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "culvert/io/clock.hpp"
#include "culvert/io/netlink.hpp"
#include "culvert/io/route_monitor.hpp"
#include "culvert/runtime/log.hpp"
#include "rethrow.hpp"

namespace culvert {
namespace asio = boost::asio;
namespace {

/// Whoever moves a route removes and adds several things, one after the other.
constexpr auto settling_time = std::chrono::milliseconds(150);
/// A question takes some ten microseconds.
constexpr std::size_t questions_per_turn = 16;

constexpr auto as_value = asio::as_tuple(asio::use_awaitable);

}  // namespace

/// Outlives the follower for as long as a coroutine waits.
struct RouteFollower::Watch {
  explicit Watch(asio::io_context& io) : ready(io), timer(io) {
    const int copy = ::fcntl(monitor->fd(), F_DUPFD_CLOEXEC, 3);
    if (copy < 0) throw std::system_error(errno, std::system_category(), "duplicating a descriptor");
    ready.assign(copy);
  }
  std::optional<RouteMonitor> monitor{std::in_place};  ///< until closed
  asio::posix::stream_descriptor ready;
  asio::steady_timer timer;
  std::optional<Netlink> netlink;  ///< while there are questions
  LogLimit log{1, std::chrono::seconds(60)};
  bool is_closed = false;
};

RouteFollower::RouteFollower(asio::io_context& io, SharedEngine& engine, const NetworkNamespace& where,
                             const std::uint32_t& mark)
    : io_(io), engine_(engine), where_(where), mark_(mark) {
  start(false);
}

RouteFollower::~RouteFollower() {
  stop();
}

void RouteFollower::start_over() {
  stop();
  answers_.clear();
  start(true);
}

void RouteFollower::start(bool looks_at_once) {
  try {
    const ScopedNamespace inside(where_);
    watch_ = std::make_shared<Watch>(io_);
  } catch (const std::exception& error) {
    spdlog::warn("changes of routes will be noticed late: {}", error.what());
    return;
  }
  asio::co_spawn(io_, follow(watch_, looks_at_once), rethrow);
}

void RouteFollower::stop() noexcept {
  if (!watch_) return;
  watch_->is_closed = true;
  boost::system::error_code ignored;
  watch_->ready.close(ignored);
  watch_->monitor.reset();
  watch_->netlink.reset();
  watch_->timer.cancel();
  watch_.reset();
}

asio::awaitable<void> RouteFollower::follow(std::shared_ptr<Watch> watch, bool looks_at_once) {
  if (looks_at_once) co_await look_at_all(watch);
  if (watch->is_closed) co_return;
  for (;;) {
    const auto [failed] = co_await watch->ready.async_wait(asio::posix::stream_descriptor::wait_read, as_value);
    if (failed || watch->is_closed) co_return;
    watch->timer.expires_after(settling_time);
    const auto [cancelled] = co_await watch->timer.async_wait(as_value);
    if (cancelled || watch->is_closed) co_return;
    try {
      if (!watch->monitor->take()) continue;
    } catch (const std::system_error& error) {
      if (watch->log.allow(read_clocks().time)) spdlog::warn("{}", error.what());
      continue;
    }
    co_await look_at_all(watch);
    if (watch->is_closed) co_return;
  }
}

asio::awaitable<void> RouteFollower::look_at_all(std::shared_ptr<Watch> watch) {
  try {
    const ScopedNamespace inside(where_);
    watch->netlink.emplace();
  } catch (const std::system_error& error) {
    if (watch->log.allow(read_clocks().time)) spdlog::warn("{}", error.what());
    co_return;
  }
  std::size_t questions = 0;
  for (std::uint32_t slot = 0; slot < engine_.take()->peers().slot_count(); ++slot) {
    const std::optional<Path> path = path_of(slot);
    if (!path) continue;
    try {
      tell_mtu(slot, *path, *watch->netlink);
      look_at(slot, *path, *watch);
    } catch (const std::system_error& error) {
      if (watch->log.allow(read_clocks().time)) spdlog::warn("{}", error.what());
      co_return;
    }
    if (++questions % questions_per_turn != 0) continue;
    watch->timer.expires_after(std::chrono::seconds(0));
    const auto [cancelled] = co_await watch->timer.async_wait(as_value);
    if (cancelled || watch->is_closed) co_return;
  }
  watch->netlink.reset();
}

std::optional<Path> RouteFollower::path_of(std::uint32_t slot) {
  const auto engine = engine_.take();
  const Peer* peer = engine->find_peer(PeerId(slot));
  // An address with a scope names its interface.
  if (!peer || !peer->path || peer->path->remote.scope_id != 0) return std::nullopt;
  return peer->path;
}

void RouteFollower::tell_mtu(PeerId peer) {
  const std::optional<Path> path = path_of(peer.value());
  if (!path) return;
  try {
    const ScopedNamespace inside(where_);
    Netlink netlink;
    tell_mtu(peer.value(), *path, netlink);
  } catch (const std::system_error& error) {
    if (mtu_log_.allow(read_clocks().time)) spdlog::warn("{}", error.what());
  }
}

void RouteFollower::tell_mtu(std::uint32_t slot, const Path& path, Netlink& netlink) {
  const auto mtu = netlink.mtu_towards(path.remote.address, mark_);
  if (mtu) engine_.take()->set_route_mtu(PeerId(slot), *mtu, read_clocks());
}

void RouteFollower::look_at(std::uint32_t slot, const Path& path, Watch& watch) {
  if (!path.local) return;
  if (answers_.size() <= slot) answers_.resize(slot + 1);
  Answer now{path, watch.netlink->interface_towards(path.remote.address, *path.local, mark_)};
  const Answer before = std::exchange(answers_[slot], now);
  if (now.interface_index == path.interface_index) return;
  // Answers may leave by another way than questions come, for good. That is no change, however many routes change.
  if (before.path == path && before.interface_index == now.interface_index) return;
  engine_.take()->free_source(PeerId(slot), read_clocks());
}

}  // namespace culvert
