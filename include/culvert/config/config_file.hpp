// wg-quick files with culvert's own keys: text in, checked values out.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/base/address.hpp"
#include "culvert/base/endpoint.hpp"
#include "culvert/crypto/keys.hpp"

namespace culvert {

/// An Endpoint as the file gives it: address or host name, and port.
struct EndpointName {
  std::string host;  ///< without brackets
  std::uint16_t port = 0;
  std::optional<Endpoint> literal;  ///< set when host is an address: nothing to look up
  friend bool operator==(const EndpointName&, const EndpointName&) = default;
};

/// Which routing table AllowedIPs go to.
struct RouteTable {
  enum class Kind : std::uint8_t { Auto, Off, Number } kind = Kind::Auto;
  std::uint32_t number = 0;
  friend bool operator==(const RouteTable&, const RouteTable&) = default;
};

/// One [Peer] section.
struct PeerConfig {
  std::string name;  ///< our key Name; may be empty
  PublicKey public_key;
  PresharedKey preshared_key;  ///< zero: none
  std::vector<Prefix> allowed_ips;
  std::optional<EndpointName> endpoint;
  std::chrono::seconds persistent_keepalive{0};
  unsigned line = 0;  ///< of the section's header, for messages
};

/// The [Interface] section and all peers.
struct Config {
  std::string path;  ///< as given, for messages
  SecretKey private_key;
  std::optional<std::uint16_t> listen_port;
  std::optional<std::uint32_t> firewall_mark;
  std::vector<Prefix> addresses;  ///< host bits kept
  std::optional<std::uint16_t> mtu;
  RouteTable table;
  std::vector<std::string> dns;
  std::vector<std::string> pre_up, post_up, pre_down, post_down;
  bool save_config = false;
  std::string device_namespace;  ///< Namespace; empty: the caller's
  std::string socket_namespace;  ///< SocketNamespace; empty: the caller's
  std::vector<PeerConfig> peers;
};

/// What is wrong in a file, and where. what() is one line: "FILE:LINE:COLUMN: message". Never contains a key.
class ConfigError : public std::runtime_error {
 public:
  ConfigError(std::string_view path, unsigned line, unsigned column, std::string_view message);
  [[nodiscard]] unsigned line() const noexcept { return line_; }
  [[nodiscard]] unsigned column() const noexcept { return column_; }

 private:
  unsigned line_;
  unsigned column_;
};

/// Parses `text`, taken from `path`. Lines and columns count from 1. Throws ConfigError for: an unknown section or key, a key given
/// twice that may stand once, a bad value, a missing private or public key, two peers of one key, one address twice or one
/// AllowedIPs prefix at two peers, more than limits allow. Key names are case-insensitive and '#' starts a comment, as in wg(8).
[[nodiscard]] Config parse_config(std::string_view text, std::string_view path);

/// Reads and parses a file. The text is kept in memory that is wiped afterwards. Throws std::system_error when it cannot be read, ConfigError
/// when it cannot be understood (larger than 16 MiB, too).
[[nodiscard]] Config read_config_file(const std::string& path);

/// The device name a file stands for: its base name without ".conf". Throws ConfigError (line 0) when that is no name for a network interface.
[[nodiscard]] std::string device_name_of(const std::string& path);

/// The file a command-line argument means: itself if it has a slash or ends in ".conf", else /etc/culvert/NAME.conf, then /etc/wireguard/NAME.conf.
[[nodiscard]] std::string config_path_of(std::string_view file_or_name);

}  // namespace culvert
