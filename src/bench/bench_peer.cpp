// Finding a peer among the tunnels that run here, and going through one to its other end.
#include "culvert/bench/bench_peer.hpp"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "answer_lines.hpp"
#include "culvert/base/address.hpp"
#include "culvert/base/endpoint.hpp"
#include "culvert/base/fields.hpp"
#include "culvert/base/printable.hpp"
#include "culvert/bench/remote_path.hpp"
#include "culvert/io/netlink.hpp"
#include "culvert/quick/control_client.hpp"
#include "culvert/runtime/bench_interface.hpp"
#include "culvert/runtime/control_folders.hpp"

namespace culvert {

namespace {

/// The peer's daemon is asked for ten seconds.
constexpr std::chrono::seconds asking_patience{20};

std::string base64_of(std::string_view hex) {
  std::array<std::byte, key_size> bytes;
  return key_from_hex(hex, bytes) ? PublicKey(bytes).to_base64() : std::string();
}

/// What a tunnel says of itself.
struct Tunnel {
  std::string pid;
  std::string space;
  BenchTunnel words;
  std::vector<PeerOfTunnel> peers;
  std::vector<std::string> peer_ciphers;
};

Tunnel look_at(const std::string& name) {
  Tunnel tunnel;
  tunnel.words.name = name;
  const WipedString answer = ask_tunnel(name, "get=1\n\n");
  for_each_line(answer, [&](std::string_view key, std::string_view value) {
    if (key == "public_key") {
      tunnel.peers.push_back({name, base64_of(value), {}, {}, {}});
      tunnel.peer_ciphers.emplace_back();
    }
    if (key == "culvert_pid") tunnel.pid = value;
    if (key == "culvert_namespace") tunnel.space = value;
    if (key == "culvert_mode") tunnel.words.mode = value;
    if (key == "culvert_cipher") tunnel.words.cipher = value;
    if (key == "culvert_workers") tunnel.words.queues = number_from<unsigned>(value).value_or(1);
    if (key == "culvert_device_path") tunnel.words.offloads.emplace_back("device", value);
    if (key == "culvert_sending_path") tunnel.words.offloads.emplace_back("sending", value);
    if (key == "culvert_receiving_path") tunnel.words.offloads.emplace_back("receiving", value);
    if (tunnel.peers.empty()) return;
    PeerOfTunnel& peer = tunnel.peers.back();
    if (key == "culvert_name") peer.name = value;
    if (key == "endpoint") peer.endpoint = value;
    if (key == "allowed_ip") peer.allowed_ips.emplace_back(value);
    if (key == "culvert_peer_cipher") tunnel.peer_ciphers.back() = value;
  });
  return tunnel;
}

std::vector<Tunnel> look_at_tunnels(const std::string& only) {
  std::vector<Tunnel> tunnels;
  if (!only.empty()) {
    tunnels.push_back(look_at(only));
    return tunnels;
  }
  std::exception_ptr failure;
  for (const std::string& folder : trusted_control_folders()) {
    std::error_code unreadable;
    for (const auto& entry : std::filesystem::directory_iterator(folder, unreadable)) {
      if (entry.path().extension() != ".sock") continue;
      try {
        tunnels.push_back(look_at(entry.path().stem()));
      } catch (const std::system_error& error) {
        // Those were left by a process that was killed.
        if (error.code() != std::errc::connection_refused && error.code() != std::errc::no_such_file_or_directory) {
          failure = std::current_exception();
        }
      } catch (const std::exception&) {
        failure = std::current_exception();
      }
    }
  }
  if (tunnels.empty() && failure) std::rethrow_exception(failure);
  if (tunnels.empty())
    throw std::runtime_error("no tunnel runs here: a benchmark of a peer goes through one that does");
  return tunnels;
}

std::string names_of(const std::vector<const PeerOfTunnel*>& peers) {
  std::string names;
  for (const PeerOfTunnel* peer : peers) {
    if (names.find(peer->tunnel + ' ') != std::string::npos) continue;
    names += (names.empty() ? "" : "and ") + peer->tunnel + ' ';
  }
  if (!names.empty()) names.pop_back();
  return names;
}

int length_of_match(const PeerOfTunnel& peer, const Address& address) {
  int longest = -1;
  for (const std::string& text : peer.allowed_ips) {
    const auto prefix = Prefix::parse(text);
    if (prefix && prefix->contains(address)) longest = std::max<int>(longest, prefix->length);
  }
  return longest;
}

struct Grant {
  BenchToken token;
  std::uint16_t port = 0;
  std::uint32_t mtu = 0;
  std::uint64_t rate = 0;
  std::vector<Address> addresses;
};

Grant ask_for_grant(const PeerOfTunnel& peer, const std::string& label) {
  std::array<std::byte, key_size> key{};
  std::array<char, 64> hex{};
  (void)key_from_base64(peer.key, key);
  key_to_hex(key, hex);
  const std::string request = "culvert_bench=1\npublic_key=" + std::string(hex.data(), hex.size()) + "\n\n";
  const WipedString answer = ask_tunnel(peer.tunnel, request, asking_patience);
  Grant grant;
  std::string error = "its tunnel did not say where to go";
  for_each_line(answer, [&](std::string_view name, std::string_view value) {
    if (name == "culvert_bench_token" && key_from_hex(value, grant.token.writable_bytes())) error.clear();
    if (name == "culvert_bench_port") grant.port = number_from<std::uint16_t>(value).value_or(0);
    if (name == "culvert_bench_mtu") grant.mtu = number_from<std::uint32_t>(value).value_or(0);
    if (name == "culvert_bench_rate") grant.rate = number_from<std::uint64_t>(value).value_or(0);
    if (name == "culvert_bench_address") {
      if (const auto address = Address::parse(value)) grant.addresses.push_back(*address);
    }
    if (name == "culvert_error") error = value;
  });
  if (!error.empty()) throw std::runtime_error("benchmark of peer " + label + " through " + peer.tunnel + ": " + error);
  return grant;
}

NetworkNamespace space_of(const Tunnel& tunnel) {
  return NetworkNamespace::open(tunnel.space.empty() ? "pid:" + tunnel.pid : tunnel.space);
}

/// Those that this end may speak to and has an address of the same family for.
std::vector<Address> reachable(const Grant& grant, const BenchInterface& interface, const Tunnel& tunnel,
                               const PeerOfTunnel& peer, const std::string& label) {
  std::vector<Address> usable;
  std::string all;
  for (const Address& address : grant.addresses) {
    all += (all.empty() ? "" : " and ") + address.to_string();
    const bool has_family = !(address.is_v4() ? interface.v4 : interface.v6).is_unspecified();
    const bool is_allowed = tunnel.words.mode == "tap" || length_of_match(peer, address) >= 0;
    if (has_family && is_allowed) usable.push_back(address);
  }
  if (usable.empty()) {
    throw std::runtime_error("peer " + label + " can be measured at " + all + ", which " + interface.name +
                             " here has no address of the same family for, or AllowedIPs of the peer here do not have");
  }
  return usable;
}

}  // namespace

const PeerOfTunnel& find_bench_peer(const std::vector<PeerOfTunnel>& peers, std::string_view words) {
  std::vector<const PeerOfTunnel*> found;
  // Many a peer has no name.
  if (words.empty()) throw std::runtime_error("a peer has to be named: whom to measure?");
  const auto take = [&](const std::function<bool(const PeerOfTunnel&)>& is_meant) {
    if (!found.empty()) return;
    for (const PeerOfTunnel& peer : peers) {
      if (is_meant(peer)) found.push_back(&peer);
    }
  };
  take([&](const PeerOfTunnel& peer) { return peer.name == words; });
  take([&](const PeerOfTunnel& peer) { return peer.key == words; });
  take([&](const PeerOfTunnel& peer) { return peer.endpoint == words; });
  if (const auto address = Address::parse(words)) {
    take([&](const PeerOfTunnel& peer) {
      const auto endpoint = Endpoint::parse(peer.endpoint);
      return endpoint && endpoint->address == *address;
    });
    int longest = 0;
    for (const PeerOfTunnel& peer : peers) longest = std::max(longest, length_of_match(peer, *address));
    take([&](const PeerOfTunnel& peer) { return length_of_match(peer, *address) == longest; });
  }
  const std::string shown = '\'' + printable(words) + '\'';
  if (found.empty()) {
    std::vector<const PeerOfTunnel*> all;
    for (const PeerOfTunnel& peer : peers) all.push_back(&peer);
    throw std::runtime_error("no peer " + shown + " in " + (all.empty() ? "any tunnel" : names_of(all)) +
                             ": a Name, a public key, an endpoint or an address in AllowedIPs says whom to measure");
  }
  if (found.size() > 1) {
    throw std::runtime_error(shown + " is more than one peer, in " + names_of(found) +
                             ": give its public key, or the tunnel");
  }
  return *found.front();
}

BenchPeer connect_to_bench_peer(std::string_view words, const std::string& only) {
  std::vector<Tunnel> tunnels = look_at_tunnels(only);
  std::vector<PeerOfTunnel> peers;
  for (const Tunnel& tunnel : tunnels) peers.insert(peers.end(), tunnel.peers.begin(), tunnel.peers.end());
  const PeerOfTunnel& peer = find_bench_peer(peers, words);
  const std::string label = peer.name.empty() ? peer.key : printable(peer.name);
  const Grant grant = ask_for_grant(peer, label);

  // A session has begun meanwhile, which says more.
  const Tunnel tunnel = look_at(peer.tunnel);
  const NetworkNamespace space = space_of(tunnel);
  BenchInterface interface;
  {
    const ScopedNamespace inside(space);
    Netlink netlink;
    interface = find_bench_interface(netlink, tunnel.words.name);
  }
  BenchPeer result;
  result.tunnel = tunnel.words;
  result.tunnel.peer = label;
  result.tunnel.mtu = std::min(interface.mtu, grant.mtu);
  result.tunnel.rate_limit = grant.rate;
  result.tunnel.is_bridge_port = interface.name != tunnel.words.name;
  for (std::size_t i = 0; i < tunnel.peers.size(); ++i) {
    if (tunnel.peers[i].key == peer.key && !tunnel.peer_ciphers[i].empty()) {
      result.tunnel.cipher = tunnel.peer_ciphers[i];
    }
  }
  std::string failure;
  for (const Address& address : reachable(grant, interface, tunnel, peer, label)) {
    try {
      const Endpoint far_end{.address = address, .port = grant.port, .scope_id = 0};
      result.path = std::make_unique<RemotePath>(space_of(tunnel), interface.name, far_end, grant.token, grant.rate);
      result.tunnel.far_address = address.to_string();
      result.tunnel.is_v4 = address.is_v4();
      return result;
    } catch (const std::exception& error) {
      failure = error.what();
    }
  }
  throw std::runtime_error("peer " + label + " allows a benchmark, but through " + peer.tunnel + ": " + failure +
                           " (does a packet filter at one end forbid TCP and UDP over the tunnel?)");
}

}  // namespace culvert
