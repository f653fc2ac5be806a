// One tunnel: set up, kept alive, reported on.
#include "culvert/runtime/tunnel.hpp"

#include <fcntl.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <system_error>

#include "culvert/io/clock.hpp"
#include "culvert/io/netlink.hpp"
#include "culvert/runtime/device_setup.hpp"
#include "rethrow.hpp"

namespace culvert {
namespace asio = boost::asio;
namespace {

constexpr auto device_retry_interval = std::chrono::seconds(1);
constexpr auto lookup_backoff_max = std::chrono::seconds(60);

NetworkNamespace open_namespace(const std::string& specification) {
  return specification.empty() ? NetworkNamespace::current() : NetworkNamespace::open(specification);
}

UdpSocketPair bind_sockets(const Config& config, const NetworkNamespace& device, const NetworkNamespace& where) {
  if (device.identity() == where.identity()) refuse_default_route_loop(config);
  const ScopedNamespace inside(where);
  return UdpSocketPair::bind(config.listen_port.value_or(0), config.firewall_mark.value_or(0));
}

}  // namespace

void refuse_default_route_loop(const Config& config) {
  if (config.table.kind != RouteTable::Kind::Auto) return;
  for (const PeerConfig& peer : config.peers) {
    for (const Prefix& prefix : peer.allowed_ips) {
      if (prefix.length != 0) continue;
      throw ConfigError(config.path, peer.line, 1,
                        "AllowedIPs = " + prefix.to_string() +
                            " routes everything into the tunnel, also the tunnel's own datagrams: give the device "
                            "another network namespace with Namespace =, or set the routes yourself with Table = off");
    }
  }
}

Tunnel::Tunnel(asio::io_context& io, Config config, std::string name)
    : io_(io),
      config_(std::move(config)),
      name_(std::move(name)),
      device_namespace_(open_namespace(config_.device_namespace)),
      socket_namespace_(open_namespace(config_.socket_namespace)),
      engine_(random_, config_.mtu.value_or(limits::default_mtu)),
      sockets_(bind_sockets(config_, device_namespace_, socket_namespace_)),
      device_(set_up_device(name_, config_, device_namespace_)),
      timestamps_(public_key_of(config_.private_key)),
      worker_(std::make_unique<Worker>(io, engine_, sockets_)),
      lookup_(io, socket_namespace_),
      device_retry_(io) {
  if (!secrets_are_locked()) {
    spdlog::warn("keys could not be locked in memory (see ulimit -l): they may be written to swap");
  }
  apply_config();
  worker_->on_event = [this](const Event& event) { on_event(event); };
  worker_->on_device_lost = [this] { restore_device(); };
  worker_->set_device(&*device_);
  watch_links();
  worker_->settings_changed();
  for (const auto& [key, peer] : peers_) {
    if (peer.config->endpoint && !peer.config->endpoint->literal) look_up(key);
  }
}

Tunnel::~Tunnel() {
  if (links_ready_) {
    boost::system::error_code ignored;
    links_ready_->close(ignored);
  }
  worker_->set_device(nullptr);
}

void Tunnel::apply_config() {
  const Now now = read_clocks();
  if (const auto last = timestamps_.load()) engine_.restore_timestamp(*last);
  engine_.set_private_key(config_.private_key.clone());
  for (const PeerConfig& peer_config : config_.peers) {
    const Peer* peer = engine_.ensure_peer(peer_config.public_key);
    if (!peer) continue;
    engine_.set_preshared_key(peer->id, peer_config.preshared_key.clone());
    for (const Prefix& prefix : peer_config.allowed_ips) engine_.add_allowed_ip(peer->id, prefix);
    if (peer_config.endpoint && peer_config.endpoint->literal) {
      engine_.set_endpoint(peer->id, *peer_config.endpoint->literal);
    }
    engine_.set_persistent_keepalive(peer->id, peer_config.persistent_keepalive, now);
    peers_[peer_config.public_key].config = &peer_config;
  }
}

std::string_view Tunnel::name_of(const PublicKey& key) const noexcept {
  const auto found = peers_.find(key);
  return found == peers_.end() || !found->second.config ? std::string_view() : found->second.config->name;
}

std::string Tunnel::label_of(const Peer& peer) const {
  const std::string_view given = name_of(peer.public_key());
  return given.empty() ? peer.public_key().to_base64().substr(0, 8) + "…" : printable(given);
}

void Tunnel::on_event(const Event& event) {
  if (event.kind == EventKind::InitiationSent) timestamps_.save(engine_.last_timestamp());
  const Peer* peer = engine_.find_peer(event.peer);
  if (!peer) return;
  PeerState& state = peers_[peer->public_key()];
  auto level = spdlog::level::debug;
  std::string_view what;
  switch (event.kind) {
    case EventKind::InitiationSent:
      what = "handshake begun";
      break;
    case EventKind::SessionEstablished:
      if (!std::exchange(state.is_up, true)) level = spdlog::level::info;
      what = level == spdlog::level::info ? "connected" : "session renewed";
      break;
    case EventKind::HandshakeUnanswered:
      what = "no answer to the handshake";
      look_up(peer->public_key());
      break;
    case EventKind::HandshakeAbandoned:
      if (std::exchange(state.is_up, false)) level = spdlog::level::info;
      what = "does not answer; the next packet for it tries again";
      break;
    case EventKind::EndpointMoved:
      what = "endpoint moved";
      break;
    case EventKind::KeysExpired:
      if (std::exchange(state.is_up, false)) level = spdlog::level::info;
      what = "session keys wiped after long silence";
      break;
  }
  if (!spdlog::should_log(level)) return;
  if (!event_log_.allow(read_clocks().time)) return;
  if (const unsigned held_back = event_log_.take_suppressed()) spdlog::log(level, "{} lines held back", held_back);
  if (event.kind == EventKind::EndpointMoved && peer->path) {
    spdlog::log(level, "peer {}: {} to {}", label_of(*peer), what, peer->path->remote.to_string());
  } else {
    spdlog::log(level, "peer {}: {}", label_of(*peer), what);
  }
}

void Tunnel::look_up(const PublicKey& key) {
  PeerState& state = peers_[key];
  if (!state.config || !state.config->endpoint || state.config->endpoint->literal || state.is_looking_up) return;
  state.is_looking_up = true;
  lookup_.look_up(
      state.config->endpoint->host, state.config->endpoint->port,
      [this, key](std::vector<Endpoint> endpoints, std::string error) { looked_up(key, endpoints, error); });
}

void Tunnel::looked_up(const PublicKey& key, const std::vector<Endpoint>& endpoints, const std::string& error) {
  PeerState& state = peers_[key];
  const Peer* peer = engine_.find_peer(key);
  if (!peer || !state.config) return;
  std::vector<Endpoint> usable;
  std::ranges::copy_if(endpoints, std::back_inserter(usable), [this](const Endpoint& endpoint) {
    return endpoint.address.is_v4() ? sockets_.v4 != nullptr : sockets_.v6 != nullptr;
  });
  if (usable.empty()) {
    if (event_log_.allow(read_clocks().time)) {
      spdlog::warn("peer {}: looking up \"{}\": {}; trying again in {} s", label_of(*peer),
                   printable(state.config->endpoint->host), error.empty() ? "no usable address" : error,
                   state.lookup_backoff.count());
    }
    auto timer = std::make_shared<asio::steady_timer>(io_, state.lookup_backoff);
    state.lookup_backoff = std::min(state.lookup_backoff * 2, lookup_backoff_max);
    timer->async_wait([this, key, timer](boost::system::error_code) {
      peers_[key].is_looking_up = false;
      look_up(key);
    });
    return;
  }
  state.is_looking_up = false;
  state.lookup_backoff = std::chrono::seconds(2);
  // A peer that does not answer at one of its addresses may do so at the next.
  const bool had_path = peer->path.has_value();
  const Endpoint& chosen = usable[state.next_candidate++ % usable.size()];
  if (had_path && peer->path->remote == chosen) return;
  engine_.set_endpoint(peer->id, chosen);
  if (!had_path) engine_.set_persistent_keepalive(peer->id, std::chrono::seconds(0), read_clocks());
  engine_.set_persistent_keepalive(peer->id, state.config->persistent_keepalive, read_clocks());
  worker_->settings_changed();
}

void Tunnel::restore_device() {
  worker_->set_device(nullptr);
  if (links_ready_) {
    boost::system::error_code ignored;
    links_ready_->close(ignored);
    links_ready_.reset();
  }
  device_.reset();
  try {
    device_.emplace(set_up_device(name_, config_, device_namespace_));
    worker_->set_device(&*device_);
  } catch (const std::exception& error) {
    if (device_log_.allow(read_clocks().time)) {
      spdlog::warn("the device was deleted and cannot be made again: {}; trying each second", error.what());
    }
    device_retry_.expires_after(device_retry_interval);
    device_retry_.async_wait([this](boost::system::error_code failed) {
      if (!failed) restore_device();
    });
    return;
  }
  spdlog::warn("device {} was deleted by somebody; it was made again", name_);
  watch_links();
}

void Tunnel::watch_links() {
  try {
    auto where = device_->network_namespace();
    if (!where) return;  // Gone already: reading from it will tell.
    const ScopedNamespace inside(NetworkNamespace::adopt(std::move(*where)));
    links_.emplace();
    const auto link = Netlink().find_link(device_->name());
    if (link) engine_.set_mtu(link->mtu);
    const int copy = ::fcntl(links_->fd(), F_DUPFD_CLOEXEC, 3);
    if (copy < 0) throw std::system_error(errno, std::system_category(), "duplicating a descriptor");
    links_ready_ = std::make_shared<asio::posix::stream_descriptor>(io_, copy);
    asio::co_spawn(io_, follow_links(links_ready_), rethrow);
  } catch (const std::exception& error) {
    spdlog::warn("changes of the device's MTU will not be noticed: {}", error.what());
  }
}

asio::awaitable<void> Tunnel::follow_links(std::shared_ptr<asio::posix::stream_descriptor> ready) {
  for (;;) {
    const auto [failed] =
        co_await ready->async_wait(asio::posix::stream_descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
    if (failed || links_ready_ != ready) co_return;
    bool is_overrun = false;
    bool is_gone = false;
    const std::string name = device_->name();
    try {
      for (const LinkEvent& event : links_->take(is_overrun)) {
        if (event.name != name) continue;
        is_gone = event.is_gone;
        if (!event.is_gone) engine_.set_mtu(event.mtu);
      }
    } catch (const std::system_error&) {
      is_overrun = true;
    }
    if (is_gone || is_overrun) {
      links_ready_.reset();
      watch_links();
      co_return;
    }
  }
}

}  // namespace culvert
