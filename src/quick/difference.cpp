// Differences between a tunnel and a file.
#include "culvert/quick/difference.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "culvert/base/printable.hpp"
#include "culvert/quick/config_text.hpp"
#include "joined.hpp"

namespace culvert {

namespace {

constexpr std::uint32_t main_table = Route{}.table;

std::string or_none(const std::string& text) {
  return text.empty() ? "none" : text;
}

std::string text_of(const Route& route) {
  const std::string table = route.table == main_table ? "" : " table " + std::to_string(route.table);
  return route.destination.to_string() + table;
}

std::string text_of(const EndpointName& endpoint) {
  return printable(endpoint_text(endpoint));
}

std::string table_text(const RouteTable& table) {
  if (table.kind == RouteTable::Kind::Number) return std::to_string(table.number);
  return table.kind == RouteTable::Kind::Auto ? "auto" : "off";
}

class Lines {
 public:
  void add(std::string line) { lines_.push_back(std::move(line)); }
  void change(const std::string& what, const std::string& from, const std::string& to) {
    if (from != to) add(what + ": " + or_none(from) + " -> " + or_none(to));
  }
  [[nodiscard]] std::vector<std::string> take() { return std::move(lines_); }

 private:
  std::vector<std::string> lines_;
};

/// Adds to `text` what `wanted` has and `present` has not, and the other way round for those that `file` asked for.
template <class T, class Text>
std::string set_difference(const std::vector<T>& file, const std::vector<T>& present, const std::vector<T>& wanted,
                           Text text_of_one) {
  const auto in = [](const std::vector<T>& all) { return std::set<T>(all.begin(), all.end()); };
  const std::set<T> is_there = in(present);
  const std::set<T> is_wanted = in(wanted);
  std::string text;
  const auto append = [&](char sign, const T& one) {
    if (!text.empty()) text += ' ';
    text += sign;
    text += text_of_one(one);
  };
  for (const T& one : in(file)) {
    if (is_there.contains(one) && !is_wanted.contains(one)) append('-', one);
  }
  for (const T& one : is_wanted) {
    if (!is_there.contains(one)) append('+', one);
  }
  return text;
}

std::string label_of(const PeerConfig& peer) {
  return "peer " + (peer.name.empty() ? "" : printable(peer.name) + " ") + peer.public_key.to_base64();
}

void peer_differences(const PeerConfig* file, const PeerConfig& present, const PeerConfig& wanted, Lines& lines) {
  const std::string label = label_of(wanted);
  const auto prefix_text = [](const Prefix& prefix) { return prefix.to_string(); };
  if (file) lines.change(label + ": Name", printable(file->name), printable(wanted.name));
  const auto allowed = file ? file->bench_rate : std::nullopt;
  lines.change(label + ": AllowBench", bench_rate_text(allowed), bench_rate_text(wanted.bench_rate));
  if (!(present.preshared_key == wanted.preshared_key)) lines.add(label + ": PresharedKey changes");
  // Where a peer has moved to by itself is no difference.
  const auto& endpoint = file ? file->endpoint : present.endpoint;
  if (wanted.endpoint && wanted.endpoint != endpoint) {
    lines.change(label + ": Endpoint", endpoint ? text_of(*endpoint) : "", text_of(*wanted.endpoint));
  }
  const auto seconds = [](const PeerConfig& peer) {
    return peer.persistent_keepalive.count() == 0 ? "off" : std::to_string(peer.persistent_keepalive.count());
  };
  lines.change(label + ": PersistentKeepalive", seconds(present), seconds(wanted));
  const std::string prefixes =
      set_difference(present.allowed_ips, present.allowed_ips, wanted.allowed_ips, prefix_text);
  if (!prefixes.empty()) lines.add(label + ": AllowedIPs " + prefixes);
}

std::unordered_map<PublicKey, const PeerConfig*> by_key(const Config& config) {
  std::unordered_map<PublicKey, const PeerConfig*> peers;
  for (const PeerConfig& peer : config.peers) peers.emplace(peer.public_key, &peer);
  return peers;
}

std::string number_text(std::uint32_t number) {
  return number == 0 ? "off" : std::to_string(number);
}

}  // namespace

std::vector<std::string> differences(const PresentState& present, const Config& wanted,
                                     const std::vector<Route>& file_routes, const std::vector<Route>& wanted_routes) {
  const Config& file = *present.file;
  const Config& device = present.device;
  Lines lines;
  if (!(device.private_key == wanted.private_key) && !wanted.private_key.is_zero()) {
    lines.add("PrivateKey changes: all sessions begin anew");
  }
  if (file.cipher != wanted.cipher) {
    lines.change("Cipher", std::string(to_string(file.cipher)), std::string(to_string(wanted.cipher)));
  }
  if (wanted.listen_port && *wanted.listen_port != 0) {
    lines.change("ListenPort", std::to_string(device.listen_port.value_or(0)), std::to_string(*wanted.listen_port));
  }
  const auto yes_no = [](bool is_on) { return std::string(is_on ? "yes" : "no"); };
  lines.change("SocketNamespace", printable(file.socket_namespace), printable(wanted.socket_namespace));
  lines.change("Relay", yes_no(file.switching.relay), yes_no(wanted.switching.relay));
  lines.change("LinkLocalFrames", yes_no(file.switching.link_local_frames), yes_no(wanted.switching.link_local_frames));
  lines.change("FwMark", number_text(device.firewall_mark.value_or(0)), number_text(wanted.firewall_mark.value_or(0)));
  if (wanted.mtu) lines.change("MTU", std::to_string(present.mtu), std::to_string(*wanted.mtu));
  const auto prefix_text = [](const Prefix& prefix) { return prefix.to_string(); };
  const std::string addresses = set_difference(file.addresses, present.addresses, wanted.addresses, prefix_text);
  if (!addresses.empty()) lines.add("Address " + addresses);
  const std::string routes =
      set_difference(file_routes, present.routes, wanted_routes, [](const Route& route) { return text_of(route); });
  lines.change("Table", table_text(file.table), table_text(wanted.table));
  if (!routes.empty()) lines.add("routes " + routes);
  lines.change("DNS", printable(joined(file.dns)), printable(joined(wanted.dns)));
  if (file.save_config != wanted.save_config) lines.add(wanted.save_config ? "SaveConfig on" : "SaveConfig off");
  if (file.pre_down != wanted.pre_down || file.post_down != wanted.post_down) {
    lines.add("PreDown and PostDown: other hooks when it goes down");
  }
  if (file.pre_up != wanted.pre_up || file.post_up != wanted.post_up) {
    lines.add("PreUp and PostUp: other hooks, which a reload does not run");
  }
  const auto file_peers = by_key(file);
  const auto device_peers = by_key(device);
  const auto wanted_peers = by_key(wanted);
  for (const PeerConfig& peer : device.peers) {
    if (wanted_peers.contains(peer.public_key)) continue;
    const auto known = file_peers.find(peer.public_key);
    lines.add(label_of(known == file_peers.end() ? peer : *known->second) + ": goes");
  }
  for (const PeerConfig& peer : wanted.peers) {
    const auto there = device_peers.find(peer.public_key);
    if (there == device_peers.end()) {
      lines.add(label_of(peer) + ": comes");
      continue;
    }
    const auto known = file_peers.find(peer.public_key);
    peer_differences(known == file_peers.end() ? nullptr : known->second, *there->second, peer, lines);
  }
  return lines.take();
}

}  // namespace culvert
