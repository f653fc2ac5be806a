// A WireGuard device at work.
#include "culvert/runtime/device.hpp"

#include <fcntl.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <span>
#include <system_error>

#include "culvert/io/clock.hpp"
#include "culvert/io/netlink.hpp"
#include "rethrow.hpp"

namespace culvert {
namespace asio = boost::asio;
namespace {

constexpr auto links_retry_interval = std::chrono::seconds(1);

std::vector<UdpSocketPair> bind_sockets(const NetworkNamespace& where, std::size_t count, std::uint16_t port,
                                        std::uint32_t mark, bool with_offloads) {
  const ScopedNamespace inside(where);
  return UdpSocketPair::bind_group(count, port, mark, with_offloads);
}

/// With the port of before wherever it is free; that of a file has to be.
std::vector<UdpSocketPair> bind_elsewhere(const NetworkNamespace& where, std::size_t count, std::uint16_t port,
                                          bool is_named, std::uint32_t mark, bool with_offloads) {
  try {
    return bind_sockets(where, count, port, mark, with_offloads);
  } catch (const std::system_error& error) {
    if (is_named || error.code() != std::errc::address_in_use) throw;
  }
  return bind_sockets(where, count, 0, mark, with_offloads);
}

Result<void> set_firewall_mark(std::vector<UdpSocketPair>& all, std::uint32_t mark) {
  for (UdpSocketPair& sockets : all) {
    for (UdpSocket* socket : {sockets.v4.get(), sockets.v6.get()}) {
      if (!socket) continue;
      if (const auto done = socket->set_firewall_mark(mark); !done) return done.error();
    }
  }
  return {};
}

}  // namespace

std::string DeviceLabels::of(const PublicKey& peer) const {
  const auto found = peers.find(peer);
  return found == peers.end() ? peer.to_base64().substr(0, 8) + "…" : printable(found->second);
}

Device::Device(asio::io_context& io, NetworkNamespace socket_namespace, std::uint16_t listen_port,
               std::uint32_t firewall_mark, bool with_offloads, std::size_t workers,
               std::shared_ptr<BackgroundWriter> writer)
    : io_(io),
      socket_namespace_(std::move(socket_namespace)),
      engine_(random_, limits::default_mtu),
      sockets_(bind_sockets(socket_namespace_, workers, listen_port, firewall_mark, with_offloads)),
      firewall_mark_(firewall_mark),
      with_offloads_(with_offloads),
      writer_(std::move(writer)),
      worker_(io, engine_, sockets_.front()),
      routes_(io, engine_, socket_namespace_, firewall_mark_),
      links_retry_(io) {
  engine_.take()->set_features({Feature::Fragments, Feature::PathMtuProbes});
  worker_.on_event = [this](const Event& event) { handle(event); };
  worker_.on_device_lost = [this] {
    carry(nullptr);
    if (on_device_lost) on_device_lost();
  };
}

Device::~Device() {
  carry(nullptr);
}

Result<void> Device::apply(DeviceChange&& change, NetworkNamespace* elsewhere) {
  const NamespaceIdentity before = socket_namespace_.identity();
  if (const auto done = change_sockets(change, elsewhere); !done) return done;
  engine()->apply(std::move(change), read_clocks());
  if (socket_namespace_.identity() != before) {
    engine()->free_sources(read_clocks());
    routes_.start_over();
  }
  remember_timestamps();
  worker_.settings_changed();
  return {};
}

Result<void> Device::change_sockets(const DeviceChange& change, NetworkNamespace* elsewhere) {
  const std::uint32_t mark = change.firewall_mark.value_or(firewall_mark_);
  const bool has_port = change.listen_port && *change.listen_port != 0;
  const std::uint16_t port = has_port ? *change.listen_port : sockets().port();
  const bool is_move = elsewhere && elsewhere->identity() != socket_namespace_.identity();
  if (is_move || port != sockets().port()) {
    try {
      auto fresh =
          bind_elsewhere(is_move ? *elsewhere : socket_namespace_, workers(), port, has_port, mark, with_offloads_);
      worker_.replace_sockets(std::move(fresh.front()));
      stop_helpers();
      std::ranges::move(std::span(fresh).subspan(1), sockets_.begin() + 1);
      start_helpers();
    } catch (const std::system_error& error) {
      return boost::system::error_code(error.code().value(), boost::system::system_category());
    }
  } else if (mark != firewall_mark_) {
    if (const auto done = set_firewall_mark(sockets_, mark); !done) {
      (void)set_firewall_mark(sockets_, firewall_mark_);
      return done;
    }
  }
  firewall_mark_ = mark;
  if (elsewhere) std::swap(socket_namespace_, *elsewhere);
  return {};
}

void Device::remember_timestamps() {
  const auto engine = engine_.take();
  const Identity* identity = engine->identity();
  if (!identity) return timestamps_.reset();
  if (timestamps_ && timestamps_->owner() == identity->public_key) return;
  timestamps_.emplace(identity->public_key, state_directory(), writer_);
  if (const auto last = timestamps_->load()) engine->restore_timestamp(*last);
}

void Device::handle(const Event& event) {
  if (event.kind == EventKind::RouteWanted) return routes_.tell_mtu(event.peer);
  if (event.kind == EventKind::InitiationSent && timestamps_) timestamps_->save(engine()->last_timestamp());
  if (on_event) on_event(event);
}

DropCounters Device::drops() noexcept {
  const auto engine = engine_.take();
  DropCounters drops = engine->drops();
  drops.add(worker_.drops());
  drops.add(lost_by_former_helpers_);
  if (helpers_) helpers_->add_drops(drops);
  return drops;
}

std::uint64_t Device::system_calls() noexcept {
  const auto engine = engine_.take();
  return worker_.system_calls() + calls_of_former_helpers_ + (helpers_ ? helpers_->system_calls() : 0);
}

void Device::start_helpers() {
  if (!tun_ || workers() == 1 || tun_->queue_count() < workers()) return;
  engine_.share(true);
  helpers_.emplace(
      engine_, std::span(sockets_).subspan(1), *tun_,
      [this] {
        if (is_notified_.exchange(true)) return;
        asio::post(io_, [this] {
          is_notified_ = false;
          worker_.attend();
        });
      },
      busy_poll);
}

void Device::stop_helpers() {
  if (!helpers_) return;
  helpers_->stop();
  helpers_->add_drops(lost_by_former_helpers_);
  calls_of_former_helpers_ += helpers_->system_calls();
  helpers_.reset();
}

DataPath Device::data_path() const {
  constexpr const char* one = "one packet at a time";
  const auto unless = [](const std::string& words, std::string_view why) {
    return why.empty() ? words : words + " (" + std::string(why) + ")";
  };
  DataPath path{one, one, one};
  const bool with_device_offloads = tun_ && tun_->offloads().virtio_net_header;
  const char* const chosen = with_offloads_         ? "Offloads = udp"
                             : with_device_offloads ? "Offloads = device"
                                                    : "Offloads = off";
  if (!tun_) {
    path.device = "no device";
  } else if (tun_->offloads().tcp) {
    const std::string_view refusal = worker_.frames().refusal();
    path.device =
        unless(tun_->offloads().udp ? "TSO, USO" : "TSO", refusal.empty() ? tun_->offloads().missing : refusal);
  } else {
    path.device = unless(one, tun_->offloads().missing.empty() ? chosen : tun_->offloads().missing);
  }
  const UdpSocket& socket = sockets().v4 ? *sockets().v4 : *sockets().v6;
  const char* too_old = with_offloads_ ? "the kernel has none" : chosen;
  path.sending = socket.segments() ? unless("UDP_SEGMENT", worker_.datagrams().refusal()) : unless(one, too_old);
  path.receiving = socket.merges() ? "UDP_GRO" : unless(one, too_old);
  return path;
}

void Device::carry(TunDevice* tun, std::optional<std::uint32_t> mtu) {
  if (links_ready_) {
    boost::system::error_code ignored;
    links_ready_->close(ignored);
    links_ready_.reset();
  }
  links_retry_.cancel();
  stop_helpers();
  engine_.share(false);
  tun_ = tun;
  known_mtu_ = mtu;
  is_set_down_ = false;
  worker_.set_device(tun);
  start_helpers();
  if (tun) watch_links();
}

void Device::watch_links() {
  try {
    auto where = tun_->network_namespace();
    if (!where && where.error().value() == EBADFD) return;  // Gone already: reading from it will tell.
    if (!where) throw std::system_error(where.error().value(), std::system_category(), "finding its network namespace");
    const ScopedNamespace inside(NetworkNamespace::adopt(std::move(*where)));
    links_.emplace();
    const auto link = Netlink().find_link(tun_->name());
    if (link) take_link(link->mtu, link->is_up);
    const int copy = ::fcntl(links_->fd(), F_DUPFD_CLOEXEC, 3);
    if (copy < 0) throw std::system_error(errno, std::system_category(), "duplicating a descriptor");
    links_ready_ = std::make_shared<asio::posix::stream_descriptor>(io_, copy);
    asio::co_spawn(io_, follow_links(links_ready_), rethrow);
  } catch (const std::exception& error) {
    if (known_mtu_) {
      take_link(*known_mtu_, true);
    } else {
      if (links_log_.allow(read_clocks().time)) {
        spdlog::warn("changes of the device's MTU are not noticed, nor that it goes down, as long as this fails: {}",
                     error.what());
      }
      engine()->set_link_up(true, read_clocks());
      retry_watching_links();
    }
  }
  worker_.settings_changed();
}

void Device::retry_watching_links() {
  links_retry_.expires_after(links_retry_interval);
  links_retry_.async_wait([this](boost::system::error_code cancelled) {
    if (!cancelled && tun_ && !links_ready_) watch_links();
  });
}

void Device::take_link(std::uint32_t mtu, bool is_up) noexcept {
  {
    const auto engine = engine_.take();
    engine->set_mtu(mtu);
    engine->set_link_up(is_up, read_clocks());
    if (tun_->layer() == DeviceLayer::Ethernet) {
      if (const auto address = tun_->mac_address()) engine->set_own_address(*address);
    }
  }
  const bool was_set_down = std::exchange(is_set_down_, !is_up);
  if (was_set_down && is_up && on_link_up) on_link_up();
}

asio::awaitable<void> Device::follow_links(std::shared_ptr<asio::posix::stream_descriptor> ready) {
  for (;;) {
    const auto [failed] =
        co_await ready->async_wait(asio::posix::stream_descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
    if (failed || links_ready_ != ready) co_return;
    bool is_overrun = false;
    bool is_gone = false;
    const std::string name = tun_->name();
    try {
      for (const LinkEvent& event : links_->take(is_overrun)) {
        if (event.name != name) continue;
        is_gone = event.is_gone;
        if (!event.is_gone) take_link(event.mtu, event.is_up);
      }
    } catch (const std::system_error&) {
      is_overrun = true;
    }
    worker_.settings_changed();
    if (is_gone || is_overrun) {
      links_ready_.reset();
      watch_links();
      co_return;
    }
  }
}

}  // namespace culvert
