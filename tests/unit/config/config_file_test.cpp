// Every key's meaning, and for every check a file that only this check refuses.
#include "culvert/config/config_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/crypto/key_exchange.hpp"

namespace culvert {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr auto private_key = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="sv;
constexpr auto public_key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="sv;
constexpr auto other_public_key = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="sv;
constexpr auto zero_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="sv;

/// An [Interface] with a key; what is added begins in line 3.
std::string interface_with(std::string_view lines) {
  return "[Interface]\nPrivateKey = " + std::string(private_key) + '\n' + std::string(lines);
}

/// An interface with a peer; what is added begins in line 5.
std::string peer_with(std::string_view lines) {
  return interface_with("[Peer]\nPublicKey = " + std::string(public_key) + '\n' + std::string(lines));
}

Config parse(std::string_view text) {
  return parse_config(text, "test.conf");
}
PeerConfig parse_peer(std::string_view lines) {
  return std::move(parse(peer_with(lines)).peers.at(0));
}

void expect_error(std::string_view text, unsigned line, unsigned column, std::string_view message) {
  SCOPED_TRACE(text.substr(0, 500));
  try {
    (void)parse(text);
    ADD_FAILURE() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.line(), line);
    EXPECT_EQ(error.column(), column);
    EXPECT_EQ(error.what(),
              "test.conf:" + std::to_string(line) + ':' + std::to_string(column) + ": " + std::string(message));
  }
}

/// One line in [Interface] whose value is refused.
void expect_interface_error(std::string_view entry, unsigned column, std::string_view message) {
  expect_error(interface_with(entry), 3, column, message);
}

/// One line in [Peer] whose value is refused.
void expect_peer_error(std::string_view entry, unsigned column, std::string_view message) {
  expect_error(peer_with(entry), 5, column, message);
}

TEST(ParseConfig, reads_every_key) {
  const Config config = parse(R"([Interface]
PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
ListenPort = 51820
FwMark = 0xca6c
Address = 10.0.0.1/24, fd00::1/64
Address = 10.1.0.1
DNS = 10.0.0.53, corp.example
DNS = fd00::53
MTU = 1420
Table = 1234
PreUp = echo 'pre up'; true
PostUp = iptables -A FORWARD -i %i -j ACCEPT
PostUp = second = 2
PreDown = pre down
PostDown = post down # comment
SaveConfig = true
Namespace = inside
SocketNamespace = pid:1
Mode = tun

[Peer]
Name = Office in Kassel
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
PresharedKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
AllowedIPs = 10.0.0.0/24, fd00::/64
AllowedIPs = 10.2.0.7
Endpoint = vpn.example.com:51820
PersistentKeepalive = 25

[Peer]
PublicKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
)");
  EXPECT_EQ(config.path, "test.conf");
  SecretKey key;
  ASSERT_TRUE(key_from_base64(private_key, key.writable_bytes()));
  EXPECT_TRUE(config.private_key == key);
  EXPECT_EQ(config.listen_port, 51820);
  EXPECT_EQ(config.firewall_mark, 0xca6cU);
  EXPECT_EQ(config.addresses,
            (std::vector{*Prefix::parse("10.0.0.1/24"), *Prefix::parse("fd00::1/64"), *Prefix::parse("10.1.0.1/32")}));
  EXPECT_EQ(config.dns, (std::vector{"10.0.0.53"s, "corp.example"s, "fd00::53"s}));
  EXPECT_EQ(config.mtu, 1420);
  EXPECT_EQ(config.table, (RouteTable{RouteTable::Kind::Number, 1234}));
  EXPECT_EQ(config.pre_up, std::vector{"echo 'pre up'; true"s});
  EXPECT_EQ(config.post_up, (std::vector{"iptables -A FORWARD -i %i -j ACCEPT"s, "second = 2"s}));
  EXPECT_EQ(config.pre_down, std::vector{"pre down"s});
  EXPECT_EQ(config.post_down, std::vector{"post down"s});
  EXPECT_TRUE(config.save_config);
  EXPECT_EQ(config.device_namespace, "inside");
  EXPECT_EQ(config.socket_namespace, "pid:1");

  ASSERT_EQ(config.peers.size(), 2U);
  const PeerConfig& peer = config.peers[0];
  EXPECT_EQ(peer.name, "Office in Kassel");
  EXPECT_EQ(peer.public_key.to_base64(), public_key);
  PresharedKey preshared_key;
  ASSERT_TRUE(key_from_base64(other_public_key, preshared_key.writable_bytes()));
  EXPECT_TRUE(peer.preshared_key == preshared_key);
  EXPECT_EQ(peer.allowed_ips,
            (std::vector{*Prefix::parse("10.0.0.0/24"), *Prefix::parse("fd00::/64"), *Prefix::parse("10.2.0.7/32")}));
  EXPECT_EQ(peer.endpoint, (EndpointName{"vpn.example.com", 51820, std::nullopt}));
  EXPECT_EQ(peer.persistent_keepalive, std::chrono::seconds(25));
  EXPECT_EQ(peer.line, 21U);
  EXPECT_EQ(config.peers[1].line, 30U);
}

TEST(ParseConfig, leaves_everything_else_unset) {
  const Config config = parse(peer_with(""));
  EXPECT_EQ(config.listen_port, std::nullopt);
  EXPECT_EQ(config.firewall_mark, std::nullopt);
  EXPECT_TRUE(config.addresses.empty());
  EXPECT_EQ(config.mtu, std::nullopt);
  EXPECT_EQ(config.table, RouteTable());
  EXPECT_FALSE(config.save_config);
  EXPECT_TRUE(config.device_namespace.empty());
  EXPECT_TRUE(config.socket_namespace.empty());
  EXPECT_TRUE(config.peers[0].name.empty());
  EXPECT_TRUE(config.peers[0].preshared_key.is_zero());
  EXPECT_TRUE(config.peers[0].allowed_ips.empty());
  EXPECT_EQ(config.peers[0].endpoint, std::nullopt);
  EXPECT_EQ(config.peers[0].persistent_keepalive, std::chrono::seconds(0));
}

TEST(ParseConfig, needs_no_peers) {
  EXPECT_TRUE(parse(interface_with("")).peers.empty());
}

TEST(ParseConfig, takes_sections_in_any_order_and_names_in_any_case) {
  const Config config = parse("[PEER]\npublickey = " + std::string(public_key) +
                              "\n[interface]\nPRIVATEKEY=" + std::string(private_key) + "\nlistenPORT=1");
  EXPECT_EQ(config.listen_port, 1);
  EXPECT_EQ(config.peers.size(), 1U);
}

TEST(ParseConfig, reads_files_of_other_systems) {
  std::string text = "\xef\xbb\xbf" + peer_with("AllowedIPs = 10.0.0.0/8\n");
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.replace(at, 1, "\r\n");
  EXPECT_EQ(parse(text).peers.at(0).allowed_ips.size(), 1U);
}

// Sections and keys as such.

TEST(ParseConfig, refuses_unknown_sections) {
  expect_error("\n [Peers]\n", 2, 3, "unknown section 'Peers': expected [Interface] or [Peer]");
  expect_error("[]\n", 1, 2, "unknown section '': expected [Interface] or [Peer]");
}

TEST(ParseConfig, takes_sections_of_the_interface_together_and_warns) {
  const Config config = parse(interface_with("MTU = 1400\n[Peer]\nPublicKey = " + std::string(public_key) +
                                             "\n[interface]\nAddress = 10.0.0.1/8\nMTU = 1300\n"));
  EXPECT_EQ(config.addresses.size(), 1U);
  EXPECT_EQ(config.mtu, 1300);
  EXPECT_EQ(config.warnings, (std::vector{"test.conf:6:2: [Interface] stands in line 1 already"s,
                                          "test.conf:8:1: MTU stands here again: this one counts"s}));
}

TEST(ParseConfig, refuses_a_file_without_interface_section) {
  expect_error("", 1, 1, "the section [Interface] is missing");
  expect_error("[Peer]\nPublicKey = " + std::string(public_key), 1, 1, "the section [Interface] is missing");
}

TEST(ParseConfig, refuses_keys_before_the_first_section) {
  expect_error("  MTU = 1420\n", 1, 3, "a key stands before the first section");
}

TEST(ParseConfig, refuses_unknown_keys) {
  expect_interface_error(" Adress = 10.0.0.1/24", 2, "unknown key 'Adress'");
}

TEST(ParseConfig, does_not_repeat_a_key_broken_over_two_lines) {
  expect_interface_error("yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=", 1, "unknown key");
  expect_interface_error("dBmkXJte14=", 1, "unknown key");
  expect_interface_error("abcdefghijklmnopqrstuvwxy=", 1, "unknown key");
}

TEST(ParseConfig, refuses_keys_of_the_other_section) {
  expect_interface_error("AllowedIPs = 10.0.0.0/8", 1, "AllowedIPs belongs into [Peer]");
  expect_peer_error("Address = 10.0.0.1/8", 1, "Address belongs into [Interface]");
}

TEST(ParseConfig, refuses_a_second_value_where_one_may_stand) {
  for (const auto entry : {"Namespace = a"sv, "SocketNamespace = a"sv, "Mode = tun"sv, "Cipher = aes-256-gcm"sv,
                           "Insecure = no"sv, "Offloads = off"sv, "Queues = 1"sv, "BusyPoll = 1"sv, "Bridge = b"sv,
                           "BridgePort = b"sv, "Relay = no"sv, "LinkLocalFrames = no"sv}) {
    const std::string name(entry.substr(0, entry.find(' ')));
    expect_error("[Interface]\n" + std::string(entry) + "\n " + std::string(entry), 3, 2,
                 name + " may stand only once in a section");
  }
  for (const auto entry :
       {"PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="sv, "Name = a"sv, "AllowBench = no"sv}) {
    const std::string name(entry.substr(0, entry.find(' ')));
    expect_error("[Peer]\n" + std::string(entry) + "\n " + std::string(entry), 3, 2,
                 name + " may stand only once in a section");
  }
}

TEST(ParseConfig, of_a_stock_key_given_twice_the_last_counts) {
  const Config config =
      parse("[Interface]\nPrivateKey = " + std::string(public_key) + "\nPrivateKey = " + std::string(private_key) +
            "\nListenPort = 1\nListenPort = 2\nFwMark = 1\nFwMark = off\nMTU = 1400\nMTU = 1401\n"
            "Table = 7\nTable = off\nSaveConfig = true\nSaveConfig = false\n[Peer]\nPublicKey = " +
            std::string(public_key) + "\nEndpoint = 192.0.2.1:1\nEndpoint = 192.0.2.1:2\n" +
            "PersistentKeepalive = 1\nPersistentKeepalive = 2\nPresharedKey = " + std::string(private_key) +
            "\nPresharedKey = " + std::string(zero_key));
  SecretKey key;
  ASSERT_TRUE(key_from_base64(private_key, key.writable_bytes()));
  EXPECT_TRUE(config.private_key == key);
  EXPECT_EQ(config.listen_port, 2);
  EXPECT_EQ(config.firewall_mark, 0U);
  EXPECT_EQ(config.mtu, 1401);
  EXPECT_EQ(config.table.kind, RouteTable::Kind::Off);
  EXPECT_FALSE(config.save_config);
  const PeerConfig& peer = config.peers.at(0);
  EXPECT_EQ(peer.endpoint->port, 2);
  EXPECT_EQ(peer.persistent_keepalive, std::chrono::seconds(2));
  EXPECT_TRUE(peer.preshared_key.is_zero());
  ASSERT_EQ(config.warnings.size(), 9U);
  EXPECT_EQ(config.warnings[1], "test.conf:5:1: ListenPort stands here again: this one counts");
}

TEST(ParseConfig, takes_sections_of_one_peer_together) {
  const Config config = parse(
      peer_with("AllowedIPs = 10.0.0.0/24, 10.1.0.0/24\nEndpoint = 192.0.2.1:1\nPersistentKeepalive = 5\nName = a\n"
                "[Peer]\nPublicKey = " +
                std::string(other_public_key) +
                "\nAllowedIPs = 10.1.0.0/24\n"
                "[Peer]\nPublicKey = " +
                std::string(public_key) + "\nAllowedIPs = 10.2.0.0/24\nEndpoint = 192.0.2.1:2\n"));
  ASSERT_EQ(config.peers.size(), 2U);
  EXPECT_EQ(config.peers[0].allowed_ips, std::vector{*Prefix::parse("10.2.0.0/24")});
  EXPECT_EQ(config.peers[0].endpoint->port, 2);
  EXPECT_EQ(config.peers[0].persistent_keepalive, std::chrono::seconds(5));
  EXPECT_EQ(config.peers[0].name, "a");
  EXPECT_EQ(config.peers[1].allowed_ips, std::vector{*Prefix::parse("10.1.0.0/24")});
  ASSERT_EQ(config.warnings.size(), 2U);
  EXPECT_EQ(
      config.warnings[1],
      "test.conf:13:13: a peer with this PublicKey stands in line 4 already: what stands here is added to it, and "
      "AllowedIPs replace its");
}

TEST(ParseConfig, what_a_peers_last_section_gives_up_belongs_to_nobody) {
  const Config config = parse(peer_with("[Peer]\nPublicKey = " + std::string(other_public_key) +
                                        "\nAllowedIPs = 10.0.0.0/24\n"
                                        "[Peer]\nPublicKey = " +
                                        std::string(public_key) +
                                        "\nAllowedIPs = 10.0.0.0/24\n"
                                        "[Peer]\nPublicKey = " +
                                        std::string(public_key) + "\n"));
  ASSERT_EQ(config.peers.size(), 2U);
  EXPECT_TRUE(config.peers[0].allowed_ips.empty());
  EXPECT_TRUE(config.peers[1].allowed_ips.empty());
}

TEST(ParseConfig, takes_each_key_once_per_peer) {
  const Config config =
      parse(peer_with("Name = a\n[Peer]\nName = b\nPublicKey = " + std::string(other_public_key) + "\n"));
  EXPECT_EQ(config.peers.at(1).name, "b");
}

TEST(ParseConfig, refuses_keys_without_value) {
  expect_interface_error("ListenPort =", 13, "ListenPort has no value");
  expect_interface_error("SaveConfig = # true", 13, "SaveConfig has no value");
  expect_interface_error("FwMark =", 9, "FwMark has no value");
  expect_peer_error("Endpoint =", 11, "Endpoint has no value");
  expect_peer_error("Name =", 7, "Name has no value");
}

TEST(ParseConfig, what_only_wg_quick_reads_may_be_empty) {
  const Config config = parse(interface_with(
      "Address =\nDNS = \nMTU =\nTable = # auto\nPreUp =\nPostUp =\nPreDown =\nPostDown =\nMTU = 1400\n"));
  EXPECT_TRUE(config.addresses.empty() && config.dns.empty());
  EXPECT_EQ(config.mtu, 1400);
  EXPECT_TRUE(config.pre_up.empty() && config.post_up.empty() && config.pre_down.empty() && config.post_down.empty());
  EXPECT_TRUE(config.warnings.empty());
  const Config taken_back = parse(interface_with("MTU = 1400\nTable = off\nMTU =\nTable =\n"));
  EXPECT_FALSE(taken_back.mtu);
  EXPECT_EQ(taken_back.table.kind, RouteTable::Kind::Auto);
}

TEST(ParseConfig, refuses_broken_lines_and_control_characters) {
  expect_interface_error("ListenPort 5", 1, "expected \"Key = value\" or \"[Section]\"");
  expect_interface_error("PostUp = a\0b"sv, 11, "control character '\\x00' is not allowed");
}

TEST(ParseConfig, refuses_a_text_above_the_limit) {
  std::string text = interface_with("#");
  text.resize(config_size_max, 'x');
  EXPECT_NO_THROW((void)parse(text));
  text += 'x';
  try {
    (void)parse(text);
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.line(), 0U);
    EXPECT_EQ(error.column(), 0U);
    EXPECT_EQ(error.what(), "test.conf: the file is larger than 16 MiB"s);
  }
}

TEST(ParseConfig, escapes_the_path_in_messages) {
  try {
    (void)parse_config("", "\x1b[31m\xff.conf");
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_TRUE(std::string_view(error.what()).starts_with("\\x1b[31m\\xff.conf:1:1: "));
  }
}

// [Interface]

TEST(ParseConfig, refuses_an_interface_without_private_key) {
  expect_error("\n[Interface]\nMTU = 1400", 2, 2, "PrivateKey is missing");
}

TEST(ParseConfig, refuses_bad_private_keys_without_repeating_them) {
  const auto message = "PrivateKey is not a key: expected 44 characters of base64"sv;
  for (const std::string bad :
       {"short", "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk", "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk==",
        "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBm!=", "yAnz5TF+lXXJte14 tji3zlMNq+hd2rYUIgJBgB3fBmk="}) {
    expect_error("[Interface]\nPrivateKey = " + bad, 2, 14, message);
  }
  expect_error("[Interface]\nPrivateKey = " + std::string(zero_key), 2, 14, "PrivateKey is all zero, which means none");
}

TEST(ParseConfig, listen_port_is_0_to_65535) {
  EXPECT_EQ(parse(interface_with("ListenPort = 0")).listen_port, 0);
  EXPECT_EQ(parse(interface_with("ListenPort = 65535")).listen_port, 65535);
  for (const std::string bad : {"65536", "-1", "+1", "0x10", "1a", "http", "99999999999999999999999", "1 2"}) {
    expect_interface_error("ListenPort = " + bad, 14, '\'' + bad + "' is not a port: expected 0 to 65535");
  }
}

TEST(ParseConfig, firewall_mark_is_off_or_a_number) {
  EXPECT_EQ(parse(interface_with("FwMark = off")).firewall_mark, 0U);
  EXPECT_EQ(parse(interface_with("FwMark = OFF")).firewall_mark, 0U);
  EXPECT_EQ(parse(interface_with("FwMark = 51820")).firewall_mark, 51820U);
  EXPECT_EQ(parse(interface_with("FwMark = 0xFFFFffff")).firewall_mark, 0xffffffffU);
  for (const std::string bad : {"4294967296", "0x100000000", "0x", "ff", "-1", "on", "0x-1"}) {
    expect_interface_error("FwMark = " + bad, 10,
                           '\'' + bad + "' is not a mark: expected \"off\", a number or 0x and hexadecimal digits");
  }
}

TEST(ParseConfig, addresses_keep_their_host_bits_and_may_be_separated_by_blanks) {
  const Config config = parse(interface_with("Address = 10.0.0.9/8 fd00::9/64,\t10.0.0.10"));
  EXPECT_EQ(config.addresses,
            (std::vector{*Prefix::parse("10.0.0.9/8"), *Prefix::parse("fd00::9/64"), *Prefix::parse("10.0.0.10/32")}));
}

TEST(ParseConfig, refuses_bad_addresses) {
  for (const std::string bad :
       {"10.0.0.0/33", "fd00::/129", "10.0.0/8", "example.com", "10.0.0.1/", "10.0.0.1/-1", "%i"}) {
    expect_interface_error("Address = 192.0.2.1, " + bad, 22,
                           '\'' + bad + "' is not an address: expected one like 10.0.0.2/24 or fd00::2/64");
  }
  expect_interface_error("Address = 10.0.0.1,,10.0.0.2", 20, "an item is missing before ','");
  expect_interface_error("Address = 10.0.0.1,", 19, "an item is missing after ','");
}

TEST(ParseConfig, refuses_one_address_twice) {
  expect_interface_error("Address = 10.0.0.1/24, 10.0.0.1/32", 24, "10.0.0.1 stands here twice");
  expect_error(interface_with("Address = fd00::1/64\nAddress = fd00:0::1/64"), 4, 11, "fd00::1 stands here twice");
}

TEST(ParseConfig, dns_takes_servers_and_search_domains_only) {
  for (const std::string bad :
       {"x;id", "$(id)", "`id`", "a'b", "\xc3\xa4", "fe80::1%eth0", "10.0.0.256", "-a", "a/b"}) {
    std::string shown = bad == "\xc3\xa4" ? "\\xc3\\xa4" : bad;
    expect_interface_error("DNS = 10.0.0.1, " + bad, 17,
                           '\'' + shown + "' is neither a server's address nor a search domain");
  }
}

TEST(ParseConfig, mtu_is_68_to_65535) {
  EXPECT_EQ(parse(interface_with("MTU = 68\nAddress = 10.0.0.1")).mtu, 68);
  EXPECT_EQ(parse(interface_with("MTU = 65535")).mtu, 65535);
  for (const std::string bad : {"67", "65536", "-1", "auto"}) {
    expect_interface_error("MTU = " + bad, 7, '\'' + bad + "' is not an MTU: expected 68 to 65535");
  }
}

TEST(ParseConfig, an_ipv6_address_needs_an_mtu_of_1280) {
  const auto message = "MTU must be at least 1280, because there is an IPv6 Address"sv;
  expect_error(interface_with("MTU = 1279\nAddress = 10.0.0.1\nAddress = fd00::1"), 3, 7, message);
  EXPECT_EQ(parse(interface_with("MTU = 1280\nAddress = fd00::1")).mtu, 1280);
  EXPECT_EQ(parse(interface_with("MTU = 1279\nAddress = 10.0.0.1")).mtu, 1279);
}

TEST(ParseConfig, table_is_auto_off_a_number_or_a_name) {
  using Kind = RouteTable::Kind;
  const auto table = [](const std::string& value) { return parse(interface_with("Table = " + value)).table; };
  EXPECT_EQ(table("auto"), (RouteTable{Kind::Auto, 0}));
  EXPECT_EQ(table("off"), (RouteTable{Kind::Off, 0}));
  EXPECT_EQ(table("default"), (RouteTable{Kind::Number, 253}));
  EXPECT_EQ(table("main"), (RouteTable{Kind::Number, 254}));
  EXPECT_EQ(table("local"), (RouteTable{Kind::Number, 255}));
  EXPECT_EQ(table("4294967295"), (RouteTable{Kind::Number, 4294967295}));
  EXPECT_EQ(table("0x10"), (RouteTable{Kind::Number, 16}));
  for (const std::string bad : {"0", "4294967296", "-1", "none"}) {
    expect_interface_error(
        "Table = " + bad, 9,
        '\'' + bad + "' is not a table: expected \"auto\", \"off\", \"main\", \"default\", \"local\" or a number");
  }
}

TEST(ParseConfig, save_config_is_true_or_false) {
  EXPECT_FALSE(parse(interface_with("SaveConfig = FALSE")).save_config);
  EXPECT_TRUE(parse(interface_with("SaveConfig = True")).save_config);
  for (const std::string bad : {"yes", "1", "truely"}) {
    expect_interface_error("SaveConfig = " + bad, 14, '\'' + bad + "' is not a choice: expected \"true\" or \"false\"");
  }
}

TEST(ParseConfig, hooks_are_taken_to_the_word) {
  const std::string hook = "sh -c \"a; b | c\" $(d) `e` 'f' \\ %i  \xc3\xa4 = g";
  EXPECT_EQ(parse(interface_with("PreUp = " + hook)).pre_up, std::vector{hook});
}

TEST(ParseConfig, namespaces_are_names_paths_or_processes) {
  for (const std::string key : {"Namespace", "SocketNamespace"}) {
    for (const std::string good :
         {"inside", "a.b-c_d@e", "/run/netns/x", "/proc/1/ns/net", "pid:1", "pid:2147483647"}) {
      const Config config = parse(interface_with(key + " = " + good));
      EXPECT_EQ(key == "Namespace" ? config.device_namespace : config.socket_namespace, good);
    }
    const auto column = static_cast<unsigned>(key.size()) + 4;
    for (const std::string bad : {"pid:", "pid:0", "pid:-1", "pid:2147483648", "pid:self"}) {
      expect_interface_error(key + " = " + bad, column,
                             '\'' + bad + "' names no process: expected \"pid:\" and a number");
    }
    for (const std::string bad : {"a/b", "./a", "../a"}) {
      expect_interface_error(key + " = " + bad, column, '\'' + bad + "' is not an absolute path");
    }
    for (const std::string bad : {".", "..", "a b", "a\tb"}) {
      const std::string shown = bad == "a\tb" ? "a\\x09b" : bad;
      expect_interface_error(
          key + " = " + bad, column,
          '\'' + shown + "' is not a namespace: expected a name, an absolute path or \"pid:NUMBER\"");
    }
  }
  EXPECT_NO_THROW((void)parse(interface_with("Namespace = " + std::string(255, '-'))));
  EXPECT_THROW((void)parse(interface_with("Namespace = " + std::string(256, '-'))), ConfigError);
}

TEST(ParseConfig, mode_is_tun_or_tap) {
  EXPECT_EQ(parse(interface_with("")).mode, DeviceMode::Routed);
  EXPECT_EQ(parse(interface_with("Mode = tun")).mode, DeviceMode::Routed);
  EXPECT_EQ(parse(interface_with("Mode = tap")).mode, DeviceMode::Switched);
  expect_interface_error("Mode = bridge", 8, "'bridge' is not a mode: expected \"tun\" or \"tap\"");
}

TEST(ParseConfig, a_tap_makes_no_routes) {
  EXPECT_EQ(parse(interface_with("Mode = tap")).table.kind, RouteTable::Kind::Off);
  EXPECT_NO_THROW((void)parse(interface_with("Mode = tap\nTable = off")));
  EXPECT_THROW((void)parse(interface_with("Mode = tap\nTable = auto")), ConfigError);
  EXPECT_THROW((void)parse(interface_with("Table = 7\nMode = tap")), ConfigError);
}

TEST(ParseConfig, relay_and_link_local_frames_are_choices_of_a_tap) {
  const Config plain = parse(interface_with("Mode = tap"));
  EXPECT_TRUE(plain.switching.relay);
  EXPECT_FALSE(plain.switching.link_local_frames);
  const Config other = parse(interface_with("Mode = tap\nRelay = no\nLinkLocalFrames = yes"));
  EXPECT_FALSE(other.switching.relay);
  EXPECT_TRUE(other.switching.link_local_frames);
  expect_interface_error("Relay = maybe", 9, "'maybe' is not a choice: expected \"yes\" or \"no\"");
  expect_interface_error("LinkLocalFrames = 1", 19, "'1' is not a choice: expected \"yes\" or \"no\"");
  expect_interface_error("Relay = no", 9,
                         "Relay and LinkLocalFrames are for a switch: they need Mode = tap beside them");
}

TEST(ParseConfig, takes_a_bridge_for_a_tap) {
  const Config config = parse(interface_with("Mode = tap\nBridge = br0\nBridgePort = eth1"));
  EXPECT_EQ(config.bridge, "br0");
  EXPECT_EQ(config.bridge_port, "eth1");
  EXPECT_EQ(parse(interface_with("Mode = tap")).bridge, "");
}

TEST(ParseConfig, refuses_a_bridge_that_cannot_be) {
  const auto refuses = [](const std::string& lines, const char* why) {
    try {
      (void)parse(interface_with(lines));
      ADD_FAILURE() << lines;
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
    }
  };
  refuses("Bridge = br0", "a tun device carries no Ethernet");
  refuses("Mode = tun\nBridgePort = eth1", "a tun device carries no Ethernet");
  refuses("Mode = tap\nBridgePort = eth1", "needs another interface beside it");
  refuses("Mode = tap\nBridge = br0\nBridgePort = br0", "needs another interface beside it");
  refuses("Mode = tap\nBridge = a/b", "is no name for an interface");
  refuses("Mode = tap\nBridge = br0\nAddress = 10.0.0.1/24", "would be dead on a port of a bridge");
}

TEST(ParseConfig, cipher_is_one_of_three_or_agreed_on) {
  EXPECT_EQ(parse(interface_with("")).cipher, CipherChoice::automatic());
  EXPECT_EQ(parse(interface_with("Cipher = auto")).cipher, CipherChoice::automatic());
  EXPECT_EQ(parse(interface_with("Cipher = chacha20-poly1305")).cipher, CipherSuite::ChaCha20Poly1305);
  EXPECT_EQ(parse(interface_with("Cipher = aes-256-gcm")).cipher, CipherSuite::Aes256Gcm);
  expect_interface_error(
      "Cipher = aes", 10,
      "'aes' is not a cipher: expected \"auto\", \"chacha20-poly1305\", \"aes-256-gcm\" or \"none\"");
  expect_interface_error(
      "Cipher = AES-256-GCM", 10,
      "'AES-256-GCM' is not a cipher: expected \"auto\", \"chacha20-poly1305\", \"aes-256-gcm\" or \"none\"");
}

TEST(ParseConfig, no_cipher_wants_to_be_called_insecure) {
  constexpr auto message = "Cipher \"none\" neither hides nor protects anything: it needs Insecure = yes beside it"sv;
  expect_interface_error("Cipher = none", 10, message);
  expect_interface_error("Cipher = none\nInsecure = no", 10, message);
  for (const auto lines : {"Cipher = none\nInsecure = yes"sv, "Insecure = yes\nCipher = none"sv}) {
    const Config config = parse(interface_with(lines));
    EXPECT_EQ(config.cipher, CipherSuite::None);
    EXPECT_TRUE(config.insecure);
    EXPECT_TRUE(config.warnings.empty());
  }
}

TEST(ParseConfig, insecure_is_yes_or_no_and_worth_a_warning_where_it_allows_nothing) {
  EXPECT_FALSE(parse(interface_with("")).insecure);
  const Config harmless = parse(interface_with("Insecure = no"));
  EXPECT_FALSE(harmless.insecure);
  EXPECT_TRUE(harmless.warnings.empty());
  expect_interface_error("Insecure = true", 12, "'true' is not a choice: expected \"yes\" or \"no\"");
  EXPECT_EQ(parse(interface_with("Insecure = yes")).warnings,
            std::vector{"test.conf:3:12: Insecure = yes allows nothing unless Cipher is \"none\""s});
}

// [Peer]

TEST(ParseConfig, refuses_a_peer_without_public_key) {
  const auto message = "this peer has no PublicKey"sv;
  expect_error(interface_with("[Peer]\n"), 3, 2, message);
  expect_error(interface_with("[Peer]\n[Peer]\nPublicKey = " + std::string(public_key)), 3, 2, message);
  expect_error(peer_with(" [Peer]\nName = x"), 5, 3, message);
}

TEST(ParseConfig, refuses_bad_public_and_preshared_keys_without_repeating_them) {
  const std::string bad = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D!=";
  expect_error(interface_with("[Peer]\nPublicKey = " + bad), 4, 13,
               "PublicKey is not a key: expected 44 characters of base64");
  expect_peer_error("PresharedKey = " + bad, 16, "PresharedKey is not a key: expected 44 characters of base64");
}

TEST(ParseConfig, a_zero_preshared_key_is_none) {
  EXPECT_TRUE(parse_peer("PresharedKey = " + std::string(zero_key)).preshared_key.is_zero());
}

TEST(ParseConfig, refuses_itself_as_a_peer) {
  const std::string own = public_key_of(parse(interface_with("")).private_key).to_base64();
  expect_error(peer_with("[Peer]\nPublicKey = " + own), 6, 13, "PublicKey is this interface's own");
  expect_error("[Peer]\nPublicKey = " + own + '\n' + interface_with(""), 2, 13, "PublicKey is this interface's own");
}

TEST(ParseConfig, allowed_ips_lose_their_host_bits_and_repetitions) {
  EXPECT_EQ(parse_peer("AllowedIPs = 10.0.0.9/8, 10.0.0.0/8\nAllowedIPs = 10.3.0.0/8 fd00::9/64").allowed_ips,
            (std::vector{*Prefix::parse("10.0.0.0/8"), *Prefix::parse("fd00::/64")}));
}

TEST(ParseConfig, allowed_ips_may_be_empty) {
  EXPECT_TRUE(parse_peer("AllowedIPs =").allowed_ips.empty());
  EXPECT_TRUE(parse_peer("AllowedIPs =  # none").allowed_ips.empty());
}

TEST(ParseConfig, refuses_bad_allowed_ips) {
  for (const std::string bad : {"10.0.0.0/33", "fd00::/129", "10.0.0", "example.com", "10.0.0.0/8/8", "-10.0.0.0/8"}) {
    expect_peer_error("AllowedIPs = ::/0, " + bad, 20,
                      '\'' + bad + "' is not a network: expected one like 10.0.0.0/24 or fd00::/64");
  }
  expect_peer_error("AllowedIPs = ,10.0.0.0/8", 14, "an item is missing before ','");
}

TEST(ParseConfig, leaves_one_prefix_at_two_peers_to_the_last_and_warns_as_wg_takes_it) {
  const std::string second = "[Peer]\nPublicKey = " + std::string(other_public_key) + "\nAllowedIPs = 10.1.0.0/16, ";
  for (const auto& [first, again] : {std::pair{"10.0.0.0/24", "10.0.0.1/24"}, {"fd00::/64", "fd00::1/64"}}) {
    const std::string text = "AllowedIPs = 192.0.2.0/24, " + std::string(first) + "\n" + second + again + ", " + again;
    const Config config = parse(peer_with(text));
    EXPECT_EQ(config.peers.at(0).allowed_ips, std::vector{*Prefix::parse("192.0.2.0/24")});
    EXPECT_EQ(config.peers.at(1).allowed_ips, (std::vector{*Prefix::parse("10.1.0.0/16"), *Prefix::parse(first)}));
    EXPECT_EQ(config.warnings, std::vector{"test.conf:8:27: AllowedIPs " + std::string(first) +
                                           " belongs to the peer in line 3, too: this one gets it"});
  }
}

TEST(ParseConfig, needs_no_private_key_where_a_hook_may_set_it) {
  const std::string peer = "\n[Peer]\nPublicKey = " + std::string(public_key);
  for (const std::string hook : {"PreUp", "PostUp"}) {
    const Config config = parse("[Interface]\n" + hook + " = wg set %i private-key /etc/wireguard/%i.key" + peer);
    EXPECT_TRUE(config.private_key.is_zero());
  }
  expect_error("[Interface]\nPostDown = true" + peer, 1, 2, "PrivateKey is missing");
}

TEST(ParseConfig, warns_of_nothing_that_is_usual) {
  EXPECT_TRUE(parse(peer_with("AllowedIPs = 10.0.0.0/24, 10.0.0.0/24, 10.0.0.0/16, 0.0.0.0/0")).warnings.empty());
}

TEST(ParseConfig, takes_a_longer_prefix_inside_another_peers) {
  const Config config =
      parse(peer_with("AllowedIPs = 10.0.0.0/24\n[Peer]\nPublicKey = " + std::string(other_public_key) +
                      "\nAllowedIPs = 10.0.0.0/25, 10.0.0.0/23"));
  EXPECT_EQ(config.peers.at(1).allowed_ips.size(), 2U);
}

TEST(ParseConfig, endpoints_are_addresses_or_names_with_a_port) {
  const auto endpoint = [](const std::string& value) { return *parse_peer("Endpoint = " + value).endpoint; };
  EXPECT_EQ(endpoint("192.0.2.1:51820"), (EndpointName{"192.0.2.1", 51820, Endpoint::parse("192.0.2.1:51820")}));
  EXPECT_EQ(endpoint("[2001:db8::1]:1"), (EndpointName{"2001:db8::1", 1, Endpoint::parse("[2001:db8::1]:1")}));
  EXPECT_EQ(endpoint("[fe80::1%3]:1"), (EndpointName{"fe80::1%3", 1, Endpoint::parse("[fe80::1%3]:1")}));
  EXPECT_EQ(endpoint("[fe80::1%eth0]:1"), (EndpointName{"fe80::1%eth0", 1, std::nullopt}));
  EXPECT_EQ(endpoint("vpn-1.example_x.com:65535"), (EndpointName{"vpn-1.example_x.com", 65535, std::nullopt}));
  ASSERT_TRUE(endpoint("192.0.2.1:51820").literal);
  ASSERT_TRUE(endpoint("[2001:db8::1]:1").literal);
}

TEST(ParseConfig, refuses_endpoints_without_port) {
  for (const std::string bad : {"vpn.example.com", "[2001:db8::1]", "192.0.2.1"}) {
    expect_peer_error("Endpoint = " + bad, 12, '\'' + bad + "' has no port: expected \"host:port\" or \"[IPv6]:port\"");
  }
}

TEST(ParseConfig, refuses_bad_ports_of_endpoints) {
  for (const std::string bad : {"0", "65536", "", "-1", "wg"}) {
    expect_peer_error("Endpoint = a.b:" + bad, 16, '\'' + bad + "' is not a port: expected 1 to 65535");
  }
  expect_peer_error("Endpoint = [::1]:0", 18, "'0' is not a port: expected 1 to 65535");
}

TEST(ParseConfig, refuses_bad_hosts_of_endpoints) {
  expect_peer_error("Endpoint = 2001:db8::1:51820", 12,
                    "'2001:db8::1' is not a host: an IPv6 address stands in brackets, as in [2001:db8::1]:51820");
  for (const std::string bad : {"300.0.0.1", "10.0.0", "a b", "", "a;b", "-a", ".a", "\xff", "$(id)", "fe80%1", "[a"}) {
    const std::string shown = bad == "\xff" ? "\\xff" : bad;
    expect_peer_error("Endpoint = " + bad + ":1", 12, '\'' + shown + "' is neither an IPv4 address nor a host name");
  }
  EXPECT_THROW((void)parse_peer("Endpoint = " + std::string(254, '_') + ":1"), ConfigError);
  EXPECT_NO_THROW((void)parse_peer("Endpoint = " + std::string(253, '_') + ":1"));
  for (const std::string bad :
       {"", "192.0.2.1", "name", "fe80::1%", "fe80::1%a b", "1.2.3.4%eth0", "fe80::g", "fe80::1%0"}) {
    expect_peer_error("Endpoint = [" + bad + "]:1", 13, '\'' + bad + "' is not an IPv6 address");
  }
}

TEST(ParseConfig, persistent_keepalive_is_off_or_seconds) {
  EXPECT_EQ(parse_peer("PersistentKeepalive = off").persistent_keepalive, std::chrono::seconds(0));
  EXPECT_EQ(parse_peer("PersistentKeepalive = Off").persistent_keepalive, std::chrono::seconds(0));
  EXPECT_EQ(parse_peer("PersistentKeepalive = 0").persistent_keepalive, std::chrono::seconds(0));
  EXPECT_EQ(parse_peer("PersistentKeepalive = 65535").persistent_keepalive, std::chrono::seconds(65535));
  for (const std::string bad : {"65536", "-1", "25s", "on"}) {
    expect_peer_error("PersistentKeepalive = " + bad, 23,
                      '\'' + bad + "' is not an interval: expected \"off\" or 0 to 65535 seconds");
  }
}

TEST(ParseConfig, a_benchmark_is_allowed_to_a_peer_or_up_to_a_rate) {
  EXPECT_EQ(parse_peer("PersistentKeepalive = 0").bench_rate, std::nullopt);
  const std::pair<const char*, std::optional<std::uint64_t>> allowed[] = {
      {"no", std::nullopt},
      {"yes", 0},
      {"100k", 100'000},
      {"100000", 100'000},
      {"250M", 250'000'000},
      {"2.5G", 2'500'000'000},
      {"0.125G", 125'000'000},
      {"10.05M", 10'050'000},
      {"10000G", 10'000'000'000'000},
  };
  for (const auto& [text, rate] : allowed) {
    EXPECT_EQ(parse_peer("AllowBench = "s + text).bench_rate, rate) << text;
  }
  for (const std::string bad : {"99k", "0", "0G", "10000.001G", "99999999999999999999G", "1m", "1 M", ".5G", "1.G",
                                "1.2345G", "1.-1G", "-1M", "1.5.5M", "G", "Yes", "true", "1MB"}) {
    expect_peer_error("AllowBench = " + bad, 14,
                      '\'' + bad +
                          "' allows nothing: expected \"no\", \"yes\" or bits a second from 100k to 10000G, as in "
                          "250M or 2.5G");
  }
}

TEST(ParseConfig, names_are_short_and_printable) {
  EXPECT_EQ(parse_peer("Name = " + std::string(64, 'x')).name, std::string(64, 'x'));
  const auto message = "Name is too long or has unusual characters: expected up to 64 printable ASCII characters"sv;
  expect_peer_error("Name = " + std::string(65, 'x'), 8, message);
  expect_peer_error("Name = a\xc3\xa4", 8, message);
  expect_peer_error("Name = a\tb", 8, message);
}

TEST(ParseConfig, never_repeats_a_key_put_in_the_wrong_place) {
  const std::string key(private_key);
  for (const std::string name :
       {"ListenPort", "FwMark", "Address", "MTU", "Table", "SaveConfig", "Mode", "Cipher", "Insecure"}) {
    try {
      (void)parse(interface_with(name + " = " + key));
      ADD_FAILURE() << name << ": no error";
    } catch (const ConfigError& error) {
      EXPECT_EQ(std::string_view(error.what()).find(key.substr(0, 8)), std::string_view::npos) << name;
    }
  }
  for (const std::string name : {"AllowedIPs", "Endpoint", "PersistentKeepalive", "AllowBench"}) {
    try {
      (void)parse(peer_with(name + " = " + key + ":x"));
      ADD_FAILURE() << name << ": no error";
    } catch (const ConfigError& error) {
      EXPECT_EQ(std::string_view(error.what()).find(key.substr(0, 8)), std::string_view::npos) << name;
    }
  }
}

TEST(ParseConfig, takes_thousands_of_peers_and_130_560_prefixes) {
  std::string text = interface_with("");
  for (unsigned i = 0; i < 4080; ++i) {
    std::array<std::byte, key_size> bytes{};
    bytes[0] = static_cast<std::byte>(i);
    bytes[1] = static_cast<std::byte>(i >> 8);
    bytes[2] = std::byte{1};
    text += "[Peer]\nPublicKey = " + PublicKey(bytes).to_base64() + "\nAllowedIPs = ";
    for (unsigned j = 0; j < 32; ++j) {
      const unsigned n = i * 32 + j;
      text += (j == 0 ? "10." : ", 10.") + std::to_string(n >> 16) + '.' + std::to_string(n >> 8 & 255) + '.' +
              std::to_string(n & 255) + "/32";
    }
    text += '\n';
  }
  const Config config = parse(text);
  EXPECT_EQ(config.peers.size(), 4080U);
  EXPECT_TRUE(std::all_of(config.peers.begin(), config.peers.end(),
                          [](const PeerConfig& peer) { return peer.allowed_ips.size() == 32; }));
}

TEST(IsInterfaceName, follows_wg_quick_and_the_kernel) {
  for (const auto good : {"wg0"sv, "a"sv, "abcdefghijklmno"sv, "Az09_=+.-"sv, "..."sv, ".a"sv}) {
    EXPECT_TRUE(is_interface_name(good)) << good;
  }
  for (const auto bad :
       {""sv, "abcdefghijklmnop"sv, "."sv, ".."sv, "a/b"sv, "a b"sv, "a:b"sv, "a%"sv, "\xc3\xa4"sv, "a\0"sv}) {
    EXPECT_FALSE(is_interface_name(bad)) << bad;
  }
}

TEST(ParseConfig, offloads_are_those_of_the_device_of_the_sockets_both_or_none) {
  EXPECT_EQ(parse(interface_with("Offloads = auto")).offloads, (OffloadChoice{true, true}));
  EXPECT_EQ(parse(interface_with("Offloads = device")).offloads, (OffloadChoice{true, false}));
  EXPECT_EQ(parse(interface_with("Offloads = udp")).offloads, (OffloadChoice{false, true}));
  EXPECT_EQ(parse(interface_with("Offloads = off")).offloads, (OffloadChoice{false, false}));
  expect_interface_error("Offloads = on", 12,
                         "'on' is not a choice: expected \"auto\", \"device\", \"udp\" or \"off\"");
}

TEST(ParseConfig, takes_one_to_sixty_four_queues) {
  EXPECT_FALSE(parse(interface_with("")).queues);
  EXPECT_EQ(parse(interface_with("Queues = 1")).queues, 1);
  EXPECT_EQ(parse(interface_with("Queues = 64")).queues, 64);
  for (const std::string text : {"0", "65", "-1", "two", "4 4", "99999999999999999999"}) {
    expect_interface_error("Queues = " + text, 10, "'" + text + "' is no number of queues: expected 1 to 64");
  }
  expect_peer_error("Queues = 2", 1, "Queues belongs into [Interface]");
}

}  // namespace
}  // namespace culvert
