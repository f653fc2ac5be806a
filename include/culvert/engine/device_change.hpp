// A change to a running device, complete and checked before any of it is made.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "culvert/base/endpoint.hpp"
#include "culvert/crypto/cipher_suite.hpp"
#include "culvert/crypto/keys.hpp"
#include "culvert/forwarding/ethernet_switch.hpp"

namespace culvert {

struct AllowedIpChange {
  Prefix prefix;
  bool is_removal = false;
};

/// What happens to one peer, in the order of the members. Unset: stays as it is.
struct PeerChange {
  PublicKey public_key;
  bool is_removal = false;
  bool update_only = false;  ///< nothing happens if there is no such peer
  std::optional<PresharedKey> preshared_key;
  std::optional<Endpoint> endpoint;
  std::optional<Endpoint> candidate;  ///< as Engine::probe_endpoint()
  std::optional<std::chrono::seconds> persistent_keepalive;
  bool replace_allowed_ips = false;
  std::vector<AllowedIpChange> allowed_ips;
};

/// The words of WireGuard's configuration protocol as values. Port and mark concern sockets: they are for whoever owns
/// those.
struct DeviceChange {
  std::optional<SecretKey> private_key;     ///< zero: taken away
  std::optional<CipherChoice> cipher;       ///< as Engine::set_cipher()
  std::optional<SwitchSettings> switching;  ///< of a device that is switched
  std::optional<std::uint16_t> listen_port;
  std::optional<std::uint32_t> firewall_mark;  ///< zero: none
  /// Peers not named in `peers` go. Those named start from nothing but keep their sessions and, if none is given, their
  /// endpoint.
  bool replace_peers = false;
  std::vector<PeerChange> peers;
};

}  // namespace culvert
