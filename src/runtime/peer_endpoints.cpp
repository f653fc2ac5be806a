// Peers given by host name, followed to where their names lead.
#include "culvert/runtime/peer_endpoints.hpp"

#include <algorithm>
#include <utility>

#include "culvert/io/clock.hpp"

namespace culvert {
namespace asio = boost::asio;
namespace {

constexpr auto lookup_backoff_min = std::chrono::seconds(2);
constexpr auto lookup_backoff_max = std::chrono::seconds(30);

EndpointChoice::InUse in_use(const Peer& peer) {
  if (!peer.path) return {};
  return {peer.path->remote, peer.received_bytes != 0};
}

}  // namespace

PeerEndpoints::PeerEndpoints(asio::io_context& io, Device& device)
    : PeerEndpoints(io, device, [this](std::string host, std::uint16_t port, EndpointLookup::Answer answer) {
        resolver_->look_up(std::move(host), port, device_.firewall_mark(), std::move(answer));
      }) {
  resolver_ = lookup_in(device.socket_namespace());
}

PeerEndpoints::PeerEndpoints(asio::io_context& io, Device& device, LookUp look_up)
    : io_(io), device_(device), look_up_(std::move(look_up)) {}

void PeerEndpoints::follow(const PublicKey& key, const EndpointName& name, std::chrono::seconds persistent_keepalive) {
  if (name.literal) return forget(key);
  Followed& followed = followed_[key];
  followed.persistent_keepalive = persistent_keepalive;
  if (followed.generation != 0 && followed.name == name) return;
  followed = {};
  followed.name = name;
  followed.persistent_keepalive = persistent_keepalive;
  followed.generation = ++last_generation_;
  look_up(key, followed);
}

void PeerEndpoints::forget(const PublicKey& key) {
  followed_.erase(key);
}

void PeerEndpoints::use(std::unique_ptr<EndpointLookup> resolver) {
  resolver_ = std::move(resolver);
  for (auto& [key, followed] : followed_) {
    followed.generation = ++last_generation_;
    followed.is_looking_up = false;
    look_up(key, followed);
  }
}

void PeerEndpoints::on_event(const Event& event) {
  const auto engine = device_.engine();
  const Peer* peer = engine->find_peer(event.peer);
  if (!peer) return;
  const auto found = followed_.find(peer->public_key());
  if (found == followed_.end()) return;
  Followed& followed = found->second;
  if (event.kind == EventKind::HandshakeUnanswered) {
    carry_out(followed.choice.handshake_unanswered(in_use(*peer)), *peer, followed);
    look_up(found->first, followed);
  } else if (event.kind == EventKind::SessionEstablished) {
    followed.choice.session_established();
  } else if (event.kind == EventKind::EndpointMoved) {
    followed.choice.endpoint_moved();
  }
}

PeerEndpoints::Followed* PeerEndpoints::find(const PublicKey& key, std::uint64_t generation) {
  const auto found = followed_.find(key);
  return found != followed_.end() && found->second.generation == generation ? &found->second : nullptr;
}

void PeerEndpoints::look_up(const PublicKey& key, Followed& followed) {
  if (std::exchange(followed.is_looking_up, true)) return;
  look_up_(followed.name.host, followed.name.port,
           [this, key, generation = followed.generation](FoundEndpoints answer) {
             if (Followed* still = find(key, generation)) looked_up(key, *still, std::move(answer));
           });
}

void PeerEndpoints::look_up_after(std::chrono::seconds pause, const PublicKey& key, Followed& followed) {
  followed.next_lookup = std::make_unique<asio::steady_timer>(io_, pause);
  followed.next_lookup->async_wait([this, key, generation = followed.generation](boost::system::error_code cancelled) {
    if (cancelled) return;
    if (Followed* still = find(key, generation)) look_up(key, *still);
  });
}

void PeerEndpoints::looked_up(const PublicKey& key, Followed& followed, FoundEndpoints found) {
  followed.is_looking_up = false;
  const auto engine = device_.engine();
  const Peer* peer = engine->find_peer(key);
  if (!peer) return forget(key);
  std::erase_if(found.endpoints, [this](const Endpoint& endpoint) {
    return !(endpoint.address.is_v4() ? device_.sockets().v4 : device_.sockets().v6);
  });
  if (found.endpoints.empty()) {
    const bool is_first = followed.lookup_backoff.count() == 0;
    followed.lookup_backoff = std::clamp(followed.lookup_backoff * 2, std::chrono::seconds(lookup_backoff_min),
                                         std::chrono::seconds(lookup_backoff_max));
    if (is_first && log_.allow(read_clocks().time)) {
      spdlog::warn("peer {}: looking up \"{}\": {}; trying again in {} s, then ever more rarely",
                   device_.labels.of(key), printable(followed.name.host),
                   found.error.empty() ? "no usable address" : found.error, followed.lookup_backoff.count());
    }
    return look_up_after(followed.lookup_backoff, key, followed);
  }
  followed.lookup_backoff = std::chrono::seconds(0);
  look_up_after(found.lifetime, key, followed);
  carry_out(followed.choice.answered(found.endpoints, in_use(*peer), read_clocks().time), *peer, followed);
}

void PeerEndpoints::carry_out(const EndpointChoice::Decision& decision, const Peer& peer, const Followed& followed) {
  if (decision.kind == EndpointChoice::Decision::Kind::Keep) return;
  spdlog::debug("peer {}: trying {}", device_.labels.of(peer.public_key()), decision.endpoint.to_string());
  DeviceChange change;
  PeerChange& to_peer = change.peers.emplace_back();
  to_peer.public_key = peer.public_key();
  if (decision.kind == EndpointChoice::Decision::Kind::Probe) {
    to_peer.candidate = decision.endpoint;
  } else {
    to_peer.endpoint = decision.endpoint;
    // The first address is what a persistent keepalive waited for: set anew, it is sent at once.
    if (!peer.path && followed.persistent_keepalive.count() != 0) {
      to_peer.persistent_keepalive = std::chrono::seconds(0);
      PeerChange& again = change.peers.emplace_back();
      again.public_key = peer.public_key();
      again.persistent_keepalive = followed.persistent_keepalive;
    }
  }
  (void)device_.apply(std::move(change));
}

}  // namespace culvert
