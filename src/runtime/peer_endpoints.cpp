// Peers given by host name, followed to where their names lead.
#include "culvert/runtime/peer_endpoints.hpp"

#include <algorithm>
#include <iterator>

#include "culvert/io/clock.hpp"

namespace culvert {
namespace asio = boost::asio;
namespace {

constexpr auto lookup_backoff_min = std::chrono::seconds(2);
constexpr auto lookup_backoff_max = std::chrono::seconds(60);

}  // namespace

PeerEndpoints::PeerEndpoints(asio::io_context& io, Device& device)
    : io_(io), device_(device), lookup_(io, device.socket_namespace()) {}

void PeerEndpoints::follow(const PublicKey& key, const EndpointName& name, std::chrono::seconds persistent_keepalive) {
  if (name.literal) return forget(key);
  if (const auto found = followed_.find(key); found != followed_.end()) {
    found->second.persistent_keepalive = persistent_keepalive;
    if (found->second.name == name) return;
  }
  Followed& followed = followed_[key];
  followed = {};
  followed.name = name;
  followed.persistent_keepalive = persistent_keepalive;
  followed.generation = ++last_generation_;
  look_up(key, followed);
}

void PeerEndpoints::forget(const PublicKey& key) {
  followed_.erase(key);
}

void PeerEndpoints::on_event(const Event& event) {
  if (event.kind != EventKind::HandshakeUnanswered) return;
  const Peer* peer = device_.engine().find_peer(event.peer);
  if (!peer) return;
  const auto found = followed_.find(peer->public_key());
  if (found != followed_.end()) look_up(found->first, found->second);
}

PeerEndpoints::Followed* PeerEndpoints::find(const PublicKey& key, std::uint64_t generation) {
  const auto found = followed_.find(key);
  return found != followed_.end() && found->second.generation == generation ? &found->second : nullptr;
}

void PeerEndpoints::look_up(const PublicKey& key, Followed& followed) {
  if (followed.is_looking_up) return;
  followed.is_looking_up = true;
  lookup_.look_up(
      followed.name.host, followed.name.port,
      [this, key, generation = followed.generation](const std::vector<Endpoint>& endpoints, const std::string& error) {
        if (Followed* still = find(key, generation)) looked_up(key, *still, endpoints, error);
      });
}

void PeerEndpoints::looked_up(const PublicKey& key, Followed& followed, const std::vector<Endpoint>& endpoints,
                              const std::string& error) {
  const Peer* peer = device_.engine().find_peer(key);
  if (!peer) return forget(key);
  std::vector<Endpoint> usable;
  std::ranges::copy_if(endpoints, std::back_inserter(usable), [this](const Endpoint& endpoint) {
    return endpoint.address.is_v4() ? device_.sockets().v4 != nullptr : device_.sockets().v6 != nullptr;
  });
  if (usable.empty()) {
    if (log_.allow(read_clocks().time)) {
      spdlog::warn("peer {}: looking up \"{}\": {}; trying again in {} s", device_.labels.of(key),
                   printable(followed.name.host), error.empty() ? "no usable address" : error,
                   followed.lookup_backoff.count());
    }
    return try_again_later(key, followed);
  }
  followed.is_looking_up = false;
  followed.lookup_backoff = lookup_backoff_min;
  // A peer that does not answer at one of its addresses may do so at the next.
  use(key, followed, usable[followed.next_candidate++ % usable.size()]);
}

void PeerEndpoints::try_again_later(const PublicKey& key, Followed& followed) {
  followed.retry = std::make_unique<asio::steady_timer>(io_, followed.lookup_backoff);
  followed.lookup_backoff = std::min(followed.lookup_backoff * 2, lookup_backoff_max);
  followed.retry->async_wait([this, key, generation = followed.generation](boost::system::error_code cancelled) {
    if (cancelled) return;
    Followed* still = find(key, generation);
    if (!still) return;
    still->is_looking_up = false;
    look_up(key, *still);
  });
}

void PeerEndpoints::use(const PublicKey& key, const Followed& followed, const Endpoint& endpoint) {
  const Peer* peer = device_.engine().find_peer(key);
  const bool had_path = peer->path.has_value();
  if (had_path && peer->path->remote == endpoint) return;
  DeviceChange change;
  PeerChange& to_peer = change.peers.emplace_back();
  to_peer.public_key = key;
  to_peer.endpoint = endpoint;
  // The first address is what a persistent keepalive waited for: set anew, it is sent at once.
  if (!had_path && followed.persistent_keepalive.count() != 0) {
    to_peer.persistent_keepalive = std::chrono::seconds(0);
    PeerChange& again = change.peers.emplace_back();
    again.public_key = key;
    again.persistent_keepalive = followed.persistent_keepalive;
  }
  (void)device_.apply(std::move(change));
}

}  // namespace culvert
