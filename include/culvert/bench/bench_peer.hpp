// A benchmark through a tunnel that runs: which one, and the connection to its other end.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culvert/bench/trial.hpp"

namespace culvert {

/// What the tunnel is, for the report.
struct BenchTunnel {
  std::string name;              ///< of the device
  std::string peer;              ///< its Name, or else its public key; printable
  std::string mode;              ///< "tun", "tap"
  std::string cipher;            ///< of the present session
  std::string far_address;       ///< where load goes
  std::uint32_t mtu = 0;         ///< the smaller of both ends'
  std::uint64_t rate_limit = 0;  ///< bits a second in each direction that the peer allows; 0: any
  unsigned queues = 1;           ///< at work
  bool is_bridge_port = false;   ///< whether the device is one here
  bool is_v4 = true;             ///< whether load is IPv4
  std::vector<std::pair<std::string, std::string>> offloads;  ///< what carries packets, as culvert show says it
};

struct BenchPeer {
  BenchTunnel tunnel;
  std::unique_ptr<MeasuredPath> path;
};

/// One peer of a tunnel, as its control socket tells. Keys are hexadecimal there, and base64 here.
struct PeerOfTunnel {
  std::string tunnel;
  std::string key;
  std::string name;
  std::string endpoint;
  std::vector<std::string> allowed_ips;
};
/// Whom `words` mean: a peer's Name, its public key, its endpoint with or without port, or an address in its
/// AllowedIPs, tried in this order; of the last the longest prefix counts. Throws std::runtime_error that names the
/// tunnels when it is nobody, or more than one. Pure.
[[nodiscard]] const PeerOfTunnel& find_bench_peer(const std::vector<PeerOfTunnel>& peers, std::string_view words);

/// Asks the peer, which takes a handshake or ten seconds at most, and connects to it. `peer` as above, of tunnel
/// `tunnel` if that is not empty. Throws std::system_error or std::runtime_error that say what to do about it.
[[nodiscard]] BenchPeer connect_to_bench_peer(std::string_view peer, const std::string& tunnel = {});

}  // namespace culvert
