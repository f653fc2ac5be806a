// A configuration file as a change to a device.
#include "culvert/config/change_of.hpp"

namespace culvert {

DeviceChange change_of(const Config& config) {
  DeviceChange change;
  change.private_key = config.private_key.clone();
  change.cipher = config.cipher;
  change.switching = config.switching;
  change.listen_port = config.listen_port;
  change.firewall_mark = config.firewall_mark;
  change.replace_peers = true;
  for (const PeerConfig& peer : config.peers) {
    PeerChange& to_peer = change.peers.emplace_back();
    to_peer.public_key = peer.public_key;
    to_peer.preshared_key = peer.preshared_key.clone();
    if (peer.endpoint) to_peer.endpoint = peer.endpoint->literal;
    to_peer.persistent_keepalive = peer.persistent_keepalive;
    to_peer.replace_allowed_ips = true;
    for (const Prefix& prefix : peer.allowed_ips) to_peer.allowed_ips.push_back({prefix, false});
  }
  return change;
}

}  // namespace culvert
