// The text of WireGuard's configuration protocol, operation set=1.
#include "culvert/config/uapi_reader.hpp"

#include <charconv>
#include <optional>
#include <utility>

#include "culvert/protocol/limits.hpp"

namespace culvert {
namespace {

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <class Key>
bool read_secret(std::string_view text, std::optional<Key>& out) {
  return key_from_hex(text, out.emplace().writable_bytes());
}

template <class T>
bool read_number(std::string_view text, std::optional<T>& out) {
  out = number<T>(text);
  return out.has_value();
}

}  // namespace

UapiError UapiReader::read_line(std::string_view line) {
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) return UapiError::NotProtocol;
  const std::string_view key = line.substr(0, equals);
  const std::string_view value = line.substr(equals + 1);
  if (key == "public_key") {
    if (change_.peers.size() >= limits::peers_max) return UapiError::Invalid;
    std::array<std::byte, key_size> bytes{};
    if (!key_from_hex(value, bytes)) return UapiError::Invalid;
    change_.peers.emplace_back().public_key = PublicKey(bytes);
    return UapiError::None;
  }
  const bool is_good = change_.peers.empty() ? read_device(key, value) : read_peer(key, value);
  return is_good ? UapiError::None : UapiError::Invalid;
}

bool UapiReader::read_device(std::string_view key, std::string_view value) {
  if (key == "private_key") return read_secret(value, change_.private_key);
  if (key == "listen_port") return read_number(value, change_.listen_port);
  if (key == "fwmark") {
    // wireguard-go takes an empty mark for none.
    if (value.empty()) value = "0";
    return read_number(value, change_.firewall_mark);
  }
  if (key == "replace_peers") return change_.replace_peers = value == "true";
  return false;
}

bool UapiReader::read_peer(std::string_view key, std::string_view value) {
  PeerChange& peer = change_.peers.back();
  if (key == "remove") return peer.is_removal = value == "true";
  if (key == "update_only") return peer.update_only = value == "true";
  if (key == "preshared_key") return read_secret(value, peer.preshared_key);
  if (key == "endpoint") {
    peer.endpoint = Endpoint::parse(value);
    return peer.endpoint.has_value();
  }
  if (key == "persistent_keepalive_interval") {
    const auto seconds = number<std::uint16_t>(value);
    if (seconds) peer.persistent_keepalive = std::chrono::seconds(*seconds);
    return seconds.has_value();
  }
  if (key == "replace_allowed_ips") return peer.replace_allowed_ips = value == "true";
  if (key == "allowed_ip") {
    const bool is_removal = value.starts_with('-');
    if (is_removal) value.remove_prefix(1);
    const auto prefix = Prefix::parse(value);
    if (prefix) peer.allowed_ips.push_back({prefix->masked(), is_removal});
    return prefix.has_value();
  }
  return key == "protocol_version" && value == "1";
}

DeviceChange UapiReader::take() { return std::exchange(change_, {}); }

}  // namespace culvert
