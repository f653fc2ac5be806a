// Peers are spoken to from another address when routing takes another way to them.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "culvert/io/netlink.hpp"
#include "culvert/netns/network_namespace.hpp"
#include "culvert/runtime/log.hpp"
#include "culvert/runtime/shared_engine.hpp"

namespace culvert {

/// After each change of routes, rules, addresses or links asks the kernel by which interface packets to each peer leave
/// now. A peer for whom that is no longer the one where his packets come in, or whose packets come to an address that
/// is gone, is sent packets from an address that routing chooses (Engine::free_source). The engine is told what the
/// routes carry. Works in short turns, so that
/// packets do not wait. On the thread that runs `io`.
class RouteFollower {
 public:
  /// Watches the network namespace of the sockets. All references outlive it; `mark` is that of the sockets at any
  /// time. What keeps it from watching is logged, and nothing is followed then.
  RouteFollower(boost::asio::io_context& io, SharedEngine& engine, const NetworkNamespace& where,
                const std::uint32_t& mark);
  ~RouteFollower();
  RouteFollower(const RouteFollower&) = delete;
  RouteFollower& operator=(const RouteFollower&) = delete;

  /// To be called when `where` has become another namespace: watches that, and looks at all peers there.
  void start_over();

  /// Tells the engine what the route to a peer carries (Engine::set_route_mtu).
  void tell_mtu(PeerId peer);

 private:
  struct Watch;
  struct Answer {
    Path path;
    std::optional<std::uint32_t> interface_index;
  };
  void start(bool looks_at_once);
  void stop() noexcept;
  boost::asio::awaitable<void> follow(std::shared_ptr<Watch> watch, bool looks_at_once);
  boost::asio::awaitable<void> look_at_all(std::shared_ptr<Watch> watch);
  [[nodiscard]] std::optional<Path> path_of(std::uint32_t slot);
  void tell_mtu(std::uint32_t slot, const Path& path, Netlink& netlink);
  void look_at(std::uint32_t slot, const Path& path, Watch& watch);

  boost::asio::io_context& io_;
  SharedEngine& engine_;
  const NetworkNamespace& where_;
  const std::uint32_t& mark_;
  LogLimit mtu_log_{1, std::chrono::seconds(60)};
  std::vector<Answer> answers_;  ///< by slot of the peer, as given last
  std::shared_ptr<Watch> watch_;
};

}  // namespace culvert
