// One tunnel: set up, kept alive, reported on.
#include "culvert/runtime/tunnel.hpp"

#include <system_error>
#include <unordered_set>

#include "culvert/config/change_of.hpp"
#include "culvert/crypto/aead.hpp"
#include "culvert/io/clock.hpp"
#include "culvert/runtime/agreement_words.hpp"
#include "culvert/runtime/busy_poll.hpp"
#include "culvert/runtime/cipher_choice.hpp"

namespace culvert {
namespace asio = boost::asio;
namespace {

constexpr auto device_retry_interval = std::chrono::seconds(1);

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
  const bool is_main = !setup.obtain && setup.default_route_table == DeviceSetup{}.default_route_table;
  if (is_main && device.identity() == there.identity()) refuse_default_route_loop(config);
  return there;
}

}  // namespace

Tunnel::Tunnel(asio::io_context& io, Config config, std::string name, DeviceSetup setup)
    : config_(std::move(config)),
      name_((check_cipher(config_, is_usable(config_.cipher.suite())), std::move(name))),
      setup_(std::move(setup)),
      device_namespace_(setup_.obtain ? NetworkNamespace::current() : open_namespace(config_.device_namespace)),
      device_(io, open_socket_namespace(config_, device_namespace_, setup_), config_.listen_port.value_or(0),
              config_.firewall_mark.value_or(0), config_.offloads.udp, workers_of(config_)),
      tun_(setup_.obtain ? setup_.obtain() : set_up_device(name_, config_, device_namespace_, setup_)),
      endpoints_(io, device_),
      bench_host_(io, device_),
      question_(io, device_),
      device_retry_(io) {
  device_.on_event = [this](const Event& event) { on_event(event); };
  device_.on_device_lost = [this] { restore_tun(); };
  device_.on_link_up = [this] { restore_routes(); };
  label(config_);
  device_.engine()->set_mode(config_.mode);
  offer_bench();
  // Neither port nor mark changes, so nothing can be refused.
  (void)device_.apply(change_of(config_));
  warn_if_insecure(config_);
  if (!secrets_are_locked()) {
    spdlog::warn("keys could not be locked in memory (see ulimit -l): they may be written to swap");
  }
  device_.busy_poll = busy_poll_of(config_.busy_poll);
  if (!config_.busy_poll) device_.keep_awake();
  device_.carry(&*tun_, setup_.obtain ? config_.mtu : std::nullopt);
  follow({}, config_);
}

Tunnel::~Tunnel() {
  device_.carry(nullptr);
}

void Tunnel::label(const Config& config) {
  device_.labels = {};
  device_.labels.device_namespace = config.device_namespace;
  device_.labels.socket_namespace = config.socket_namespace;
  std::unordered_map<PublicKey, std::uint64_t> bench_rates;
  for (const PeerConfig& peer : config.peers) {
    if (!peer.name.empty()) device_.labels.peers[peer.public_key] = peer.name;
    if (peer.bench_rate) bench_rates.emplace(peer.public_key, *peer.bench_rate);
  }
  bench_host_.allow(std::move(bench_rates));
}

void Tunnel::offer_bench() {
  const auto engine = device_.engine();
  engine->set_features(Features(engine->features().bits() | Features{Feature::Bench}.bits()));
}

void Tunnel::follow(const Config& before, const Config& now) {
  std::unordered_set<PublicKey> named;
  for (const PeerConfig& peer : now.peers) {
    if (!peer.endpoint) continue;
    named.insert(peer.public_key);
    endpoints_.follow(peer.public_key, *peer.endpoint, peer.persistent_keepalive);
  }
  for (const PeerConfig& peer : before.peers) {
    if (!named.contains(peer.public_key)) endpoints_.forget(peer.public_key);
  }
}

Result<void> Tunnel::apply(const Config& wanted) {
  std::unordered_map<PublicKey, const PeerConfig*> known;
  for (const PeerConfig& peer : config_.peers) known.emplace(peer.public_key, &peer);
  DeviceChange change = change_of(wanted);
  // A hook may have set it.
  if (wanted.private_key.is_zero()) change.private_key.reset();
  change.firewall_mark = wanted.firewall_mark.value_or(0);
  for (std::size_t i = 0; i < wanted.peers.size(); ++i) {
    const auto found = known.find(wanted.peers[i].public_key);
    const bool is_there = found != known.end() && device_.engine()->find_peer(wanted.peers[i].public_key);
    if (is_there && found->second->endpoint == wanted.peers[i].endpoint) change.peers[i].endpoint.reset();
  }
  const bool is_move = wanted.socket_namespace != config_.socket_namespace;
  const auto done = is_move ? move_sockets(std::move(change), open_namespace(wanted.socket_namespace))
                            : device_.apply(std::move(change));
  if (!done) return done;
  label(wanted);
  follow(config_, wanted);
  return {};
}

Result<void> Tunnel::move_sockets(DeviceChange&& change, NetworkNamespace there) {
  auto lookup = endpoints_.lookup_in(there);
  if (const auto done = device_.apply(std::move(change), &there); !done) return done;
  former_socket_namespace_ = std::move(there);
  endpoints_.use(std::move(lookup));
  return {};
}

void Tunnel::keep(Config config, std::uint32_t default_route_table) {
  config_ = std::move(config);
  setup_.default_route_table = default_route_table;
  former_socket_namespace_.reset();
}

void Tunnel::go_back(const Config& was) {
  DeviceChange change = change_of(was);
  change.cipher = config_.cipher;
  change.firewall_mark = was.firewall_mark.value_or(0);
  try {
    const auto done = former_socket_namespace_ ? move_sockets(std::move(change), std::move(*former_socket_namespace_))
                                               : device_.apply(std::move(change));
    if (!done) spdlog::warn("{}: going back to what was before: {}", name_, done.error().message());
  } catch (const std::exception& error) {
    spdlog::warn("{}: going back to what was before: {}", name_, error.what());
  }
  former_socket_namespace_.reset();
  label(config_);
  follow(was, config_);
}

void Tunnel::on_event(const Event& event) {
  endpoints_.on_event(event);
  const auto engine = device_.engine();
  const Peer* peer = engine->find_peer(event.peer);
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
    case EventKind::Agreed:
      what = "is a culvert, too";
      break;
    case EventKind::ModeMismatch:
      if (const auto words = mismatch_words(peer->agreement, engine->mode());
          !words.empty() && state.mode_log.allow(read_clocks().time)) {
        spdlog::warn("peer {}: {}", device_.labels.of(peer->public_key()), words);
      }
      return;
    case EventKind::LoopBlocked:
      level = spdlog::level::warn;
      what =
          "our own probe came back through it: there is another way between the two LANs, a loop. Nothing passes "
          "from and to it until that is gone";
      break;
    case EventKind::LoopEnded:
      level = spdlog::level::info;
      what = "probes come back no more, the loop is gone: frames pass again";
      break;
    case EventKind::RouteWanted:
      return;
    case EventKind::BenchAsked:
      return bench_host_.asked(event.peer, tun_ ? &*tun_ : nullptr);
    case EventKind::BenchAnswered:
      return question_.answered();
    case EventKind::CipherMismatch:
      if (state.mismatch_log.allow(read_clocks().time)) {
        spdlog::warn(
            "peer {}: data under another cipher than {} comes from it, or from somebody who disturbs, and is dropped: "
            "set the same Cipher at both ends",
            device_.labels.of(peer->public_key()), to_string(device_.engine()->cipher()));
      }
      return;
  }
  if (!spdlog::should_log(level)) return;
  if (!event_log_.allow(read_clocks().time)) return;
  if (const unsigned held_back = event_log_.take_suppressed()) spdlog::log(level, "{} lines held back", held_back);
  if (event.kind == EventKind::EndpointMoved && peer->path) {
    spdlog::log(level, "peer {}: {} to {}", device_.labels.of(peer->public_key()), what,
                peer->path->remote.to_string());
  } else {
    spdlog::log(level, "peer {}: {}", device_.labels.of(peer->public_key()), what);
  }
}

void Tunnel::restore_routes() {
  if (setup_.obtain || !tun_) return;
  try {
    auto where = tun_->network_namespace();
    if (!where || NetworkNamespace::adopt(std::move(*where)).identity() != device_namespace_.identity()) return;
    restore_device(name_, config_, device_namespace_, setup_.default_route_table);
  } catch (const std::exception& error) {
    if (device_log_.allow(read_clocks().time)) {
      spdlog::warn("{} is up again, but lacks addresses or routes: {}", name_, error.what());
    }
  }
}

void Tunnel::restore_tun() {
  tun_.reset();
  if (setup_.obtain) return spdlog::error("the device was deleted; nothing goes through this tunnel any more");
  try {
    tun_.emplace(set_up_device(name_, config_, device_namespace_, setup_));
    device_.carry(&*tun_);
  } catch (const std::exception& error) {
    // Of several queues some may be carried already.
    device_.carry(nullptr);
    tun_.reset();
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
