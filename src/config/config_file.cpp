// What the keys of a file mean, and what they demand of each other. Reads nothing but the text it is given.
#include "culvert/config/config_file.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "culvert/base/printable.hpp"
#include "culvert/crypto/key_exchange.hpp"
#include "culvert/forwarding/prefix_table.hpp"
#include "culvert/protocol/limits.hpp"
#include "ini_reader.hpp"
#include "values.hpp"

namespace culvert {

namespace {

// A peer takes its header and a public key at least, so that no separate limit on their number is needed.
static_assert(config_size_max / (sizeof("[Peer]\nPublicKey=\n") + 44) < limits::peers_max);

constexpr std::uint64_t mtu_min_v4 = 68;    // RFC 791
constexpr std::uint64_t mtu_min_v6 = 1280;  // RFC 8200, section 5

template <class Tag>
void read_secret(const IniText& value, std::string_view name, Secret<Tag>& out) {
  if (!key_from_base64(value.text, out.writable_bytes())) {
    throw IniError(value, std::string(name) + " is not a key: expected 44 characters of base64");
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) noexcept : reader_(text) {}

  [[nodiscard]] const std::vector<IniError>& warnings() const noexcept { return warnings_; }

  Config parse() {
    while (const auto item = reader_.next()) {
      if (item->kind == IniItem::Kind::Section) {
        begin_section(item->name);
      } else {
        read_entry(*item);
      }
    }
    finish_peer();
    finish();
    return std::move(config_);
  }

 private:
  enum class Section : std::uint8_t { None, Interface, Peer };
  /// What it means when a key stands in a section again.
  enum class Again : std::uint8_t {
    Refused,
    LastCounts,  ///< as for wg(8) and wg-quick(8)
    Adds,
  };
  struct Key {
    std::string_view name;
    Section section;
    Again again;
    void (Parser::*read)(const IniText& value);
  };
  static const std::array<Key, 31> keys;

  void begin_section(const IniText& name) {
    finish_peer();
    seen_ = 0;
    if (equal_ignoring_case(name.text, "Interface")) {
      section_ = Section::Interface;
      if (interface_.line == 0) {
        interface_ = name;
      } else {
        seen_ = seen_in_interface_;
        warnings_.emplace_back(name, "[Interface] stands in line " + std::to_string(interface_.line) + " already");
      }
    } else if (equal_ignoring_case(name.text, "Peer")) {
      section_ = Section::Peer;
      config_.peers.emplace_back().line = name.line;
      peer_header_ = name;
    } else {
      throw IniError(name, "unknown section " + shown(name.text) + ": expected [Interface] or [Peer]");
    }
  }

  void read_entry(const IniItem& entry) {
    const IniText& name = entry.name;
    if (section_ == Section::None) throw IniError(name, "a key stands before the first section");
    const auto key =
        std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return equal_ignoring_case(k.name, name.text); });
    if (key == keys.end()) throw IniError(name, "unknown key" + shown_key(name.text));
    const std::string key_name(key->name);
    if (key->section != section_) {
      throw IniError(name,
                     key_name + (section_ == Section::Peer ? " belongs into [Interface]" : " belongs into [Peer]"));
    }
    const std::uint32_t mask = 1U << (key - keys.begin());
    if (entry.value.text.empty() && key->name != "AllowedIPs") {
      // What generators of files leave empty when it is not wanted, as wg-quick(8) lets them.
      if (section_ == Section::Interface && is_read_by_wg_quick_alone(key->name)) {
        if (key->name == "MTU") config_.mtu.reset();
        if (key->name == "Table") config_.table = {};
        return;
      }
      throw IniError(entry.value, key_name + " has no value");
    }
    if ((seen_ & mask) != 0 && key->again == Again::Refused) {
      throw IniError(name, key_name + " may stand only once in a section");
    }
    if ((seen_ & mask) != 0 && key->again == Again::LastCounts) {
      warnings_.emplace_back(name, key_name + " stands here again: this one counts");
    }
    seen_ |= mask;
    if (section_ == Section::Interface) seen_in_interface_ = seen_;
    (this->*key->read)(entry.value);
  }

  static bool is_read_by_wg_quick_alone(std::string_view key) {
    static constexpr std::array<std::string_view, 8> names{"Address", "DNS",    "MTU",     "Table",
                                                           "PreUp",   "PostUp", "PreDown", "PostDown"};
    return std::ranges::find(names, key) != names.end();
  }

  /// A key that was broken over two lines looks like an unknown name; only what cannot be part of one is repeated.
  static std::string shown_key(std::string_view name) {
    if (name.size() > 24 || !std::all_of(name.begin(), name.end(), is_letter)) return {};
    return ' ' + shown(name);
  }

  void finish_peer() {
    if (section_ != Section::Peer) return;
    if (!has_public_key_) throw IniError(peer_header_, "this peer has no PublicKey");
    has_public_key_ = false;
    if (const auto known = std::exchange(known_peer_, std::nullopt)) merge_into(*known);
  }

  /// The last section of a peer says what it has to say, and which prefixes are its: as the kernel takes what wg(8)
  /// makes of the file.
  void merge_into(std::size_t known) {
    PeerConfig said = std::move(config_.peers.back());
    config_.peers.pop_back();
    PeerConfig& peer = config_.peers[known];
    if (has_seen("PresharedKey")) peer.preshared_key = std::move(said.preshared_key);
    if (said.endpoint) peer.endpoint = std::move(said.endpoint);
    if (has_seen("PersistentKeepalive")) peer.persistent_keepalive = said.persistent_keepalive;
    if (has_seen("Name")) peer.name = std::move(said.name);
    if (has_seen("AllowBench")) peer.bench_rate = said.bench_rate;
    peer.allowed_ips = std::move(said.allowed_ips);
    const PeerId id(static_cast<std::uint32_t>(known));
    prefix_owners_.remove_all(id);
    for (const Prefix& prefix : peer.allowed_ips) prefix_owners_.insert(prefix, id);
  }

  [[nodiscard]] bool has_seen(std::string_view name) const {
    const auto key = std::ranges::find(keys, name, &Key::name);
    return (seen_ & (1U << (key - keys.begin()))) != 0;
  }

  void finish() {
    if (interface_.line == 0) throw IniError({{}, 1, 1}, "the section [Interface] is missing");
    // A hook may set it: "PostUp = wg set %i private-key FILE" is from wg-quick(8).
    const bool has_hooks = !config_.pre_up.empty() || !config_.post_up.empty();
    if (!has_private_key_ && !has_hooks) throw IniError(interface_, "PrivateKey is missing");
    const bool has_v6 = std::any_of(config_.addresses.begin(), config_.addresses.end(),
                                    [](const Prefix& prefix) { return !prefix.address.is_v4(); });
    if (config_.mtu && *config_.mtu < mtu_min_v6 && has_v6) {
      throw IniError(mtu_, "MTU must be at least 1280, because there is an IPv6 Address");
    }
    if (config_.cipher == CipherSuite::None && !config_.insecure) {
      throw IniError(cipher_, "Cipher \"none\" neither hides nor protects anything: it needs Insecure = yes beside it");
    }
    if (config_.cipher != CipherSuite::None && config_.insecure) {
      warnings_.emplace_back(insecure_, "Insecure = yes allows nothing unless Cipher is \"none\"");
    }
    if (config_.mode == DeviceMode::Switched) {
      if (table_.line != 0 && config_.table.kind != RouteTable::Kind::Off) {
        throw IniError(table_, "Table is for Mode = tun: on a tap stations are found by asking, not by routes");
      }
      config_.table.kind = RouteTable::Kind::Off;
    }
    check_bridge();
    if (switch_key_.line != 0 && config_.mode != DeviceMode::Switched) {
      throw IniError(switch_key_, "Relay and LinkLocalFrames are for a switch: they need Mode = tap beside them");
    }
    if (has_private_key_) {
      const auto own = public_keys_.find(public_key_of(config_.private_key));
      if (own != public_keys_.end()) throw IniError(own->second.where, "PublicKey is this interface's own");
    }
    if (!warnings_.empty()) leave_prefixes_to_their_last_peer();
  }

  void check_bridge() {
    if (bridge_.line != 0 && config_.mode != DeviceMode::Switched) {
      throw IniError(bridge_,
                     "a tun device carries no Ethernet and cannot be in a bridge: it needs Mode = tap beside "
                     "it, or routes instead");
    }
    if (!config_.bridge_port.empty() && (config_.bridge.empty() || config_.bridge == config_.bridge_port)) {
      throw IniError(bridge_, "BridgePort needs another interface beside it that is the bridge: Bridge = br0");
    }
    if (!config_.bridge.empty() && !config_.addresses.empty()) {
      throw IniError(bridge_,
                     "Address would be dead on a port of a bridge: give it to the bridge (PostUp = ip address "
                     "add ADDRESS dev " +
                         config_.bridge + ") and take it out here");
    }
  }

  void leave_prefixes_to_their_last_peer() {
    std::map<Prefix, PeerId> owners;
    prefix_owners_.for_each([&](const Prefix& prefix, PeerId owner) { owners.emplace(prefix, owner); });
    for (std::uint32_t id = 0; id < config_.peers.size(); ++id) {
      std::erase_if(config_.peers[id].allowed_ips, [&](const Prefix& prefix) {
        const auto owner = owners.find(prefix);
        return owner == owners.end() || owner->second != PeerId(id);
      });
    }
  }

  [[nodiscard]] PeerConfig& peer() noexcept { return config_.peers.back(); }

  // One per key of [Interface].

  void read_private_key(const IniText& value) {
    read_secret(value, "PrivateKey", config_.private_key);
    if (config_.private_key.is_zero()) throw IniError(value, "PrivateKey is all zero, which means none");
    has_private_key_ = true;
  }

  void read_listen_port(const IniText& value) {
    const auto port = parse_decimal(value.text, 65535);
    if (!port) throw IniError(value, shown(value.text) + " is not a port: expected 0 to 65535");
    config_.listen_port = static_cast<std::uint16_t>(*port);
  }

  void read_firewall_mark(const IniText& value) {
    const bool is_off = equal_ignoring_case(value.text, "off");
    const auto mark = is_off ? 0 : parse_number(value.text, std::numeric_limits<std::uint32_t>::max());
    if (!mark) {
      throw IniError(value,
                     shown(value.text) + " is not a mark: expected \"off\", a number or 0x and hexadecimal digits");
    }
    config_.firewall_mark = static_cast<std::uint32_t>(*mark);
  }

  void read_addresses(const IniText& value) {
    IniText list = value;
    while (const auto item = take_list_item(list)) {
      const auto prefix = Prefix::parse(item->text);
      if (!prefix) {
        throw IniError(*item, shown(item->text) + " is not an address: expected one like 10.0.0.2/24 or fd00::2/64");
      }
      if (!own_addresses_.insert(prefix->address).second) {
        throw IniError(*item, prefix->address.to_string() + " stands here twice");
      }
      config_.addresses.push_back(*prefix);
    }
  }

  void read_dns(const IniText& value) {
    IniText list = value;
    while (const auto item = take_list_item(list)) {
      if (!Address::parse(item->text) && !is_host_name(item->text)) {
        throw IniError(*item, shown(item->text) + " is neither a server's address nor a search domain");
      }
      config_.dns.emplace_back(item->text);
    }
  }

  void read_mtu(const IniText& value) {
    const auto mtu = parse_decimal(value.text, 65535);
    if (!mtu || *mtu < mtu_min_v4) throw IniError(value, shown(value.text) + " is not an MTU: expected 68 to 65535");
    config_.mtu = static_cast<std::uint16_t>(*mtu);
    mtu_ = value;
  }

  void read_table(const IniText& value) {
    using Kind = RouteTable::Kind;
    table_ = value;
    static constexpr std::array<std::pair<std::string_view, RouteTable>, 5> names{{{"auto", {Kind::Auto, 0}},
                                                                                   {"off", {Kind::Off, 0}},
                                                                                   {"default", {Kind::Number, 253}},
                                                                                   {"main", {Kind::Number, 254}},
                                                                                   {"local", {Kind::Number, 255}}}};
    for (const auto& [name, table] : names) {
      if (name == value.text) {
        config_.table = table;
        return;
      }
    }
    const auto number = parse_number(value.text, std::numeric_limits<std::uint32_t>::max());
    if (!number || *number == 0) {
      throw IniError(value,
                     shown(value.text) +
                         " is not a table: expected \"auto\", \"off\", \"main\", \"default\", \"local\" or a number");
    }
    config_.table = {RouteTable::Kind::Number, static_cast<std::uint32_t>(*number)};
  }

  void read_pre_up(const IniText& value) { config_.pre_up.emplace_back(value.text); }
  void read_post_up(const IniText& value) { config_.post_up.emplace_back(value.text); }
  void read_pre_down(const IniText& value) { config_.pre_down.emplace_back(value.text); }
  void read_post_down(const IniText& value) { config_.post_down.emplace_back(value.text); }

  void read_save_config(const IniText& value) {
    const bool is_true = equal_ignoring_case(value.text, "true");
    if (!is_true && !equal_ignoring_case(value.text, "false")) {
      throw IniError(value, shown(value.text) + " is not a choice: expected \"true\" or \"false\"");
    }
    config_.save_config = is_true;
  }

  void read_namespace(const IniText& value) {
    check_namespace(value);
    config_.device_namespace = value.text;
  }

  void read_socket_namespace(const IniText& value) {
    check_namespace(value);
    config_.socket_namespace = value.text;
  }

  void read_mode(const IniText& value) {
    if (value.text != "tun" && value.text != "tap") {
      throw IniError(value, shown(value.text) + " is not a mode: expected \"tun\" or \"tap\"");
    }
    config_.mode = value.text == "tap" ? DeviceMode::Switched : DeviceMode::Routed;
  }

  static bool read_choice(const IniText& value) {
    if (value.text != "yes" && value.text != "no") {
      throw IniError(value, shown(value.text) + " is not a choice: expected \"yes\" or \"no\"");
    }
    return value.text == "yes";
  }

  void read_bridge_name(const IniText& value, std::string& name) {
    if (!is_interface_name(value.text)) throw IniError(value, shown(value.text) + " is no name for an interface");
    name = value.text;
    bridge_ = value;
  }

  void read_bridge(const IniText& value) { read_bridge_name(value, config_.bridge); }
  void read_bridge_port(const IniText& value) { read_bridge_name(value, config_.bridge_port); }

  void read_relay(const IniText& value) {
    config_.switching.relay = read_choice(value);
    switch_key_ = value;
  }

  void read_link_local_frames(const IniText& value) {
    config_.switching.link_local_frames = read_choice(value);
    switch_key_ = value;
  }

  void read_cipher(const IniText& value) {
    const auto choice = cipher_choice_of(value.text);
    if (!choice) {
      throw IniError(value, shown(value.text) +
                                " is not a cipher: expected \"auto\", \"chacha20-poly1305\", \"aes-256-gcm\" or "
                                "\"none\"");
    }
    config_.cipher = *choice;
    cipher_ = value;
  }

  void read_insecure(const IniText& value) {
    config_.insecure = read_choice(value);
    insecure_ = value;
  }

  void read_offloads(const IniText& value) {
    for (const bool device : {true, false}) {
      for (const bool udp : {true, false}) {
        config_.offloads = {device, udp};
        if (value.text == to_string(config_.offloads)) return;
      }
    }
    throw IniError(value, shown(value.text) + " is not a choice: expected \"auto\", \"device\", \"udp\" or \"off\"");
  }

  void read_queues(const IniText& value) {
    const auto count = parse_decimal(value.text, queues_max);
    if (!count || *count == 0) throw IniError(value, shown(value.text) + " is no number of queues: expected 1 to 64");
    config_.queues = static_cast<std::uint16_t>(*count);
  }

  void read_busy_poll(const IniText& value) {
    if (value.text == "auto") return;
    const auto microseconds = parse_decimal(value.text, busy_poll_max);
    if (!microseconds) {
      throw IniError(value, shown(value.text) + " is no time to poll: expected \"auto\" or 0 to 1000 microseconds");
    }
    config_.busy_poll = static_cast<std::uint32_t>(*microseconds);
  }

  // One per key of [Peer].

  void read_public_key(const IniText& value) {
    std::array<std::byte, key_size> bytes;
    if (!key_from_base64(value.text, bytes)) {
      throw IniError(value, "PublicKey is not a key: expected 44 characters of base64");
    }
    peer().public_key = PublicKey(bytes);
    const auto [known, is_new] = public_keys_.emplace(peer().public_key, KnownPeer{value, config_.peers.size() - 1});
    if (!is_new) {
      warnings_.emplace_back(value, "a peer with this PublicKey stands in line " +
                                        std::to_string(known->second.where.line) +
                                        " already: what stands here is added to it, and AllowedIPs replace its");
      known_peer_ = known->second.index;
    }
    has_public_key_ = true;
  }

  void read_preshared_key(const IniText& value) { read_secret(value, "PresharedKey", peer().preshared_key); }

  void read_allowed_ips(const IniText& value) {
    const PeerId self(static_cast<std::uint32_t>(config_.peers.size() - 1));
    IniText list = value;
    while (const auto item = take_list_item(list)) {
      const auto prefix = Prefix::parse(item->text);
      if (!prefix) {
        throw IniError(*item, shown(item->text) + " is not a network: expected one like 10.0.0.0/24 or fd00::/64");
      }
      const std::size_t known = prefix_owners_.size();
      const auto owner = prefix_owners_.insert(*prefix, self);
      if (owner) {
        warnings_.emplace_back(*item, "AllowedIPs " + prefix->masked().to_string() + " belongs to the peer in line " +
                                          std::to_string(config_.peers[owner->value()].line) +
                                          ", too: this one gets it");
      }
      if (owner || prefix_owners_.size() != known) peer().allowed_ips.push_back(prefix->masked());
    }
  }

  void read_endpoint(const IniText& value) { peer().endpoint = parse_endpoint(value); }

  void read_persistent_keepalive(const IniText& value) {
    const auto seconds = equal_ignoring_case(value.text, "off") ? 0 : parse_decimal(value.text, 65535);
    if (!seconds)
      throw IniError(value, shown(value.text) + " is not an interval: expected \"off\" or 0 to 65535 seconds");
    peer().persistent_keepalive = std::chrono::seconds(*seconds);
  }

  void read_name(const IniText& value) {
    const auto allowed = [](char c) { return is_visible(c) || c == ' '; };
    if (value.text.size() > 64 || !std::all_of(value.text.begin(), value.text.end(), allowed)) {
      throw IniError(value, "Name is too long or has unusual characters: expected up to 64 printable ASCII characters");
    }
    peer().name = value.text;
  }

  void read_allow_bench(const IniText& value) {
    if (value.text == "no") return;
    if (value.text == "yes") {
      peer().bench_rate = 0;
      return;
    }
    const auto rate = parse_rate(value.text);
    if (!rate || *rate < bench_rate_min || *rate > bench_rate_max) {
      throw IniError(value, shown(value.text) +
                                " allows nothing: expected \"no\", \"yes\" or bits a second from 100k to 10000G, as "
                                "in 250M or 2.5G");
    }
    peer().bench_rate = *rate;
  }

  IniReader reader_;
  Config config_;
  Section section_ = Section::None;
  std::uint32_t seen_ = 0;  ///< one bit per entry of `keys`, in the current section
  std::uint32_t seen_in_interface_ = 0;
  IniText interface_;  ///< its header; line 0 before it
  IniText peer_header_;
  IniText mtu_;
  IniText table_;
  IniText cipher_;
  IniText insecure_;
  IniText switch_key_;  ///< the last one that is for a tap alone
  IniText bridge_;      ///< either of Bridge and BridgePort
  bool has_private_key_ = false;
  bool has_public_key_ = false;  ///< the current peer
  struct KnownPeer {
    IniText where;
    std::size_t index;
  };
  std::unordered_map<PublicKey, KnownPeer> public_keys_;
  std::optional<std::size_t> known_peer_;  ///< that the current section is about, too
  std::unordered_set<Address> own_addresses_;
  PrefixTable prefix_owners_;
  std::vector<IniError> warnings_;
};

const std::array<Parser::Key, 31> Parser::keys{{
    {"PrivateKey", Section::Interface, Again::LastCounts, &Parser::read_private_key},
    {"ListenPort", Section::Interface, Again::LastCounts, &Parser::read_listen_port},
    {"FwMark", Section::Interface, Again::LastCounts, &Parser::read_firewall_mark},
    {"Address", Section::Interface, Again::Adds, &Parser::read_addresses},
    {"DNS", Section::Interface, Again::Adds, &Parser::read_dns},
    {"MTU", Section::Interface, Again::LastCounts, &Parser::read_mtu},
    {"Table", Section::Interface, Again::LastCounts, &Parser::read_table},
    {"PreUp", Section::Interface, Again::Adds, &Parser::read_pre_up},
    {"PostUp", Section::Interface, Again::Adds, &Parser::read_post_up},
    {"PreDown", Section::Interface, Again::Adds, &Parser::read_pre_down},
    {"PostDown", Section::Interface, Again::Adds, &Parser::read_post_down},
    {"SaveConfig", Section::Interface, Again::LastCounts, &Parser::read_save_config},
    {"Namespace", Section::Interface, Again::Refused, &Parser::read_namespace},
    {"SocketNamespace", Section::Interface, Again::Refused, &Parser::read_socket_namespace},
    {"Mode", Section::Interface, Again::Refused, &Parser::read_mode},
    {"Bridge", Section::Interface, Again::Refused, &Parser::read_bridge},
    {"BridgePort", Section::Interface, Again::Refused, &Parser::read_bridge_port},
    {"Relay", Section::Interface, Again::Refused, &Parser::read_relay},
    {"LinkLocalFrames", Section::Interface, Again::Refused, &Parser::read_link_local_frames},
    {"Cipher", Section::Interface, Again::Refused, &Parser::read_cipher},
    {"Insecure", Section::Interface, Again::Refused, &Parser::read_insecure},
    {"Offloads", Section::Interface, Again::Refused, &Parser::read_offloads},
    {"BusyPoll", Section::Interface, Again::Refused, &Parser::read_busy_poll},
    {"Queues", Section::Interface, Again::Refused, &Parser::read_queues},
    {"PublicKey", Section::Peer, Again::Refused, &Parser::read_public_key},
    {"PresharedKey", Section::Peer, Again::LastCounts, &Parser::read_preshared_key},
    {"AllowedIPs", Section::Peer, Again::Adds, &Parser::read_allowed_ips},
    {"Endpoint", Section::Peer, Again::LastCounts, &Parser::read_endpoint},
    {"PersistentKeepalive", Section::Peer, Again::LastCounts, &Parser::read_persistent_keepalive},
    {"Name", Section::Peer, Again::Refused, &Parser::read_name},
    {"AllowBench", Section::Peer, Again::Refused, &Parser::read_allow_bench},
}};

std::string with_position(std::string_view path, unsigned line, unsigned column, std::string_view message) {
  std::string text = printable(path);
  if (line != 0) text += ':' + std::to_string(line) + ':' + std::to_string(column);
  return text.append(": ").append(message);
}

}  // namespace

ConfigError::ConfigError(std::string_view path, unsigned line, unsigned column, std::string_view message)
    : std::runtime_error(with_position(path, line, column, message)), line_(line), column_(column) {}

Config parse_config(std::string_view text, std::string_view path) {
  if (text.size() > config_size_max) throw ConfigError(path, 0, 0, "the file is larger than 16 MiB");
  try {
    Parser parser(text);
    Config config = parser.parse();
    config.path = path;
    for (const IniError& warning : parser.warnings()) {
      config.warnings.push_back(with_position(path, warning.line, warning.column, warning.what()));
    }
    return config;
  } catch (const IniError& error) {
    throw ConfigError(path, error.line, error.column, error.what());
  }
}

std::string_view to_string(OffloadChoice choice) noexcept {
  if (choice.device) return choice.udp ? "auto" : "device";
  return choice.udp ? "udp" : "off";
}

}  // namespace culvert
