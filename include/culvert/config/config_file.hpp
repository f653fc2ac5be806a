// wg-quick files with culvert's own keys: text in, checked values out.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/base/address.hpp"
#include "culvert/base/endpoint.hpp"
#include "culvert/crypto/cipher_suite.hpp"
#include "culvert/crypto/keys.hpp"
#include "culvert/forwarding/ethernet_switch.hpp"
#include "culvert/protocol/hello.hpp"

namespace culvert {

/// The most bytes a file may have.
inline constexpr std::size_t config_size_max = std::size_t{16} << 20;

/// The most workers a device may have.
inline constexpr std::uint16_t queues_max = 64;

/// The longest BusyPoll, in microseconds.
inline constexpr std::uint32_t busy_poll_max = 1000;

/// The least and the most that AllowBench allows if it names a rate, in bits a second.
inline constexpr std::uint64_t bench_rate_min = 100'000;
inline constexpr std::uint64_t bench_rate_max = 10'000'000'000'000;

/// An Endpoint as the file gives it: address or host name, and port.
struct EndpointName {
  std::string host;  ///< without brackets; an IPv6 address may carry a scope, "fe80::1%eth0"
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

/// Which of the kernel's offloads are used, where it has them.
struct OffloadChoice {
  bool device = true;  ///< super-frames from and to the device
  bool udp = true;     ///< several datagrams at once
  friend bool operator==(const OffloadChoice&, const OffloadChoice&) = default;
};
/// As the key Offloads has it: "auto", "device", "udp" or "off".
[[nodiscard]] std::string_view to_string(OffloadChoice choice) noexcept;

/// One [Peer] section.
struct PeerConfig {
  std::string name;  ///< our key Name; may be empty
  PublicKey public_key;
  PresharedKey preshared_key;       ///< zero: none
  std::vector<Prefix> allowed_ips;  ///< host bits cleared, each once
  std::optional<EndpointName> endpoint;
  std::chrono::seconds persistent_keepalive{0};
  /// AllowBench: how much a benchmark of this peer may load the tunnel, bits a second in each direction, 0 for any; no
  /// benchmark at all if unset.
  std::optional<std::uint64_t> bench_rate;
  unsigned line = 0;  ///< of the section's header, for messages
};

/// The [Interface] section and all peers.
struct Config {
  std::string path;  ///< as given, for messages
  SecretKey private_key;
  std::optional<std::uint16_t> listen_port;
  std::optional<std::uint32_t> firewall_mark;  ///< "off" is 0, which marks nothing
  std::vector<Prefix> addresses;               ///< host bits kept
  std::optional<std::uint16_t> mtu;
  RouteTable table;
  std::vector<std::string> dns;  ///< servers' addresses and search domains
  std::vector<std::string> pre_up, post_up, pre_down, post_down;
  bool save_config = false;
  std::string device_namespace;          ///< Namespace; empty: the caller's
  std::string socket_namespace;          ///< SocketNamespace; empty: the caller's
  DeviceMode mode = DeviceMode::Routed;  ///< Mode = tun or tap
  SwitchSettings switching;              ///< Relay and LinkLocalFrames, of a tap
  std::string bridge;                    ///< Bridge, of a tap; empty: none
  std::string bridge_port;               ///< BridgePort, a NIC that joins it; empty: none
  CipherChoice cipher = CipherChoice::automatic();
  bool insecure = false;                ///< without it, no Cipher = none
  std::optional<std::uint16_t> queues;  ///< workers and queues of the device, 1 to 64; unset: as the processors allow
  std::optional<std::uint32_t> busy_poll;  ///< BusyPoll in microseconds, 0 to 1000; unset: auto
  OffloadChoice offloads;
  std::vector<PeerConfig> peers;
  std::vector<std::string> warnings;  ///< what is probably not meant, as ConfigError words it
};

/// What is wrong in a file, and where. what() is one line of printable ASCII: "FILE:LINE:COLUMN: message", or "FILE:
/// message" when it is about the file as a whole (line and column 0). Never contains a key.
class ConfigError : public std::runtime_error {
 public:
  ConfigError(std::string_view path, unsigned line, unsigned column, std::string_view message);
  [[nodiscard]] unsigned line() const noexcept { return line_; }
  [[nodiscard]] unsigned column() const noexcept { return column_; }

 private:
  unsigned line_;
  unsigned column_;
};

/// Parses `text`, taken from `path`. Lines and columns count from 1, columns in bytes. Throws ConfigError for: an
/// unknown section or key, a key of culvert's own or a PublicKey given twice in a section, a bad value, a missing public key, a missing private
/// key unless there are hooks that may set it, Cipher = none without Insecure = yes, our own key as a
/// peer's, one address twice, a text above config_size_max. As with wg(8) and wg-quick(8), but with a warning: a prefix
/// in the AllowedIPs of two peers belongs to the last one, of a stock key given twice the last counts, and sections of
/// one peer or of the interface are taken together. What only wg-quick(8) reads may be empty. Section and key names are case- insensitive and '#' starts a comment, as in wg(8). Pure.
[[nodiscard]] Config parse_config(std::string_view text, std::string_view path);

/// Reads and parses a file, which may be a pipe. The text is kept in memory that is locked if possible and wiped
/// afterwards. Throws std::system_error when it cannot be read, ConfigError when it cannot be understood.
[[nodiscard]] Config read_config_file(const std::string& path);

/// 1 to 15 letters, digits and _=+.-, but neither "." nor "..", as wg-quick(8) and the kernel want it.
[[nodiscard]] bool is_interface_name(std::string_view text) noexcept;

/// The device name a file stands for: its base name without ".conf". Throws ConfigError when that is no name for a
/// network interface.
[[nodiscard]] std::string device_name_of(const std::string& path);

/// Where configurations are looked for by name, first come first.
inline constexpr std::array<std::string_view, 2> config_folders{"/etc/culvert", "/etc/wireguard"};

/// The file a command-line argument means: itself if it has a slash or ends in ".conf", else NAME.conf in the first of
/// `folders` (at least one) that has it; in the first one if none has.
[[nodiscard]] std::string config_path_of(std::string_view file_or_name,
                                         std::span<const std::string_view> folders = config_folders);

}  // namespace culvert
