// One tunnel: set up, kept alive, reported on.
#include "culvert/runtime/tunnel.hpp"

#include <algorithm>
#include <system_error>

#include "culvert/config/change_of.hpp"
#include "culvert/io/clock.hpp"

namespace culvert {
namespace asio = boost::asio;
namespace {

constexpr auto device_retry_interval = std::chrono::seconds(1);
constexpr auto lookup_backoff_max = std::chrono::seconds(60);

NetworkNamespace open_namespace(const std::string& specification) {
  return specification.empty() ? NetworkNamespace::current() : NetworkNamespace::open(specification);
}

/// A default route in the main table must not catch the tunnel's own datagrams.
void refuse_default_route_loop(const Config& config) {
  if (config.table.kind != RouteTable::Kind::Auto) return;
  for (const PeerConfig& peer : config.peers) {
    for (const Prefix& prefix : peer.allowed_ips) {
      if (prefix.length != 0) continue;
      throw ConfigError(
          config.path, peer.line, 1,
          "AllowedIPs = " + prefix.to_string() + " routes everything into the tunnel, also the tunnel's own datagrams");
    }
  }
}

NetworkNamespace open_socket_namespace(const Config& config, const NetworkNamespace& device, const DeviceSetup& setup) {
  NetworkNamespace there = open_namespace(config.socket_namespace);
  const bool is_main = setup.default_route_table == DeviceSetup{}.default_route_table;
  if (is_main && device.identity() == there.identity()) refuse_default_route_loop(config);
  return there;
}

}  // namespace

Tunnel::Tunnel(asio::io_context& io, Config config, std::string name, DeviceSetup setup)
    : io_(io),
      config_(std::move(config)),
      name_(std::move(name)),
      setup_(std::move(setup)),
      device_namespace_(open_namespace(config_.device_namespace)),
      device_(io, open_socket_namespace(config_, device_namespace_, setup_), config_.listen_port.value_or(0),
              config_.firewall_mark.value_or(0)),
      tun_(set_up_device(name_, config_, device_namespace_, setup_)),
      lookup_(io, device_.socket_namespace()),
      device_retry_(io) {
  device_.on_event = [this](const Event& event) { on_event(event); };
  device_.on_device_lost = [this] { restore_tun(); };
  apply_config();
  if (!secrets_are_locked()) {
    spdlog::warn("keys could not be locked in memory (see ulimit -l): they may be written to swap");
  }
  device_.carry(&*tun_);
  for (const auto& [key, peer] : peers_) {
    if (peer.config->endpoint && !peer.config->endpoint->literal) look_up(key);
  }
}

Tunnel::~Tunnel() {
  device_.carry(nullptr);
}

void Tunnel::apply_config() {
  device_.labels.device_namespace = config_.device_namespace;
  device_.labels.socket_namespace = config_.socket_namespace;
  for (const PeerConfig& peer : config_.peers) {
    peers_[peer.public_key].config = &peer;
    if (!peer.name.empty()) device_.labels.peers[peer.public_key] = peer.name;
  }
  // Neither port nor mark changes, so nothing can be refused.
  (void)device_.apply(change_of(config_));
}

std::string Tunnel::label_of(const Peer& peer) const {
  const auto found = device_.labels.peers.find(peer.public_key());
  return found == device_.labels.peers.end() ? peer.public_key().to_base64().substr(0, 8) + "…"
                                             : printable(found->second);
}

void Tunnel::on_event(const Event& event) {
  const Peer* peer = device_.engine().find_peer(event.peer);
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
  const Peer* peer = device_.engine().find_peer(key);
  if (!peer || !state.config) return;
  std::vector<Endpoint> usable;
  std::ranges::copy_if(endpoints, std::back_inserter(usable), [this](const Endpoint& endpoint) {
    return endpoint.address.is_v4() ? device_.sockets().v4 != nullptr : device_.sockets().v6 != nullptr;
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
  DeviceChange change;
  PeerChange& to_peer = change.peers.emplace_back();
  to_peer.public_key = key;
  to_peer.endpoint = chosen;
  // The first address is what a persistent keepalive waited for: set anew, it is sent at once.
  if (!had_path && state.config->persistent_keepalive.count() != 0) {
    to_peer.persistent_keepalive = std::chrono::seconds(0);
    PeerChange& again = change.peers.emplace_back();
    again.public_key = key;
    again.persistent_keepalive = state.config->persistent_keepalive;
  }
  (void)device_.apply(std::move(change));
}

void Tunnel::restore_tun() {
  tun_.reset();
  try {
    tun_.emplace(set_up_device(name_, config_, device_namespace_, setup_));
    device_.carry(&*tun_);
  } catch (const std::exception& error) {
    if (device_log_.allow(read_clocks().time)) {
      spdlog::warn("the device was deleted and cannot be made again: {}; trying each second", error.what());
    }
    device_retry_.expires_after(device_retry_interval);
    device_retry_.async_wait([this](boost::system::error_code failed) {
      if (!failed) restore_tun();
    });
    return;
  }
  spdlog::warn("device {} was deleted by somebody; it was made again", name_);
}

}  // namespace culvert
