// Configurations written and read back.
#include "culvert/quick/config_text.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "culvert/quick/current_config.hpp"
#include "support/crypto_ready.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* everything = R"([Interface]
PrivateKey = YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
ListenPort = 51820
FwMark = 0xca6c
Address = 10.0.0.1/24, fd00::1/64, 10.1.0.1
DNS = 10.0.0.53, corp.example, fd00::53
MTU = 1420
Table = 1234
PreUp = echo 'pre up'; true
PostUp = iptables -A FORWARD -i %i -j ACCEPT
PostUp = second = 2
PreDown = pre	down
PostDown = post down
SaveConfig = true
Namespace = inside
SocketNamespace = pid:1
Cipher = none
Insecure = yes

[Peer]
Name = Office in Kassel
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
PresharedKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
AllowedIPs = 10.0.0.0/24, fd00::/64, 10.2.0.7
Endpoint = vpn.example.com:51820
PersistentKeepalive = 25
AllowBench = 2.5G

[Peer]
PublicKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
Endpoint = [fe80::1%eth0]:7
AllowBench = yes

[Peer]
PublicKey = YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
Endpoint = [2001:db8::1]:8
)";

void expect_same(const Config& a, const Config& b) {
  EXPECT_TRUE(a.private_key == b.private_key);
  EXPECT_EQ(a.listen_port, b.listen_port);
  EXPECT_EQ(a.firewall_mark, b.firewall_mark);
  EXPECT_EQ(a.addresses, b.addresses);
  EXPECT_EQ(a.dns, b.dns);
  EXPECT_EQ(a.mtu, b.mtu);
  EXPECT_EQ(a.table, b.table);
  EXPECT_EQ(a.pre_up, b.pre_up);
  EXPECT_EQ(a.post_up, b.post_up);
  EXPECT_EQ(a.pre_down, b.pre_down);
  EXPECT_EQ(a.post_down, b.post_down);
  EXPECT_EQ(a.save_config, b.save_config);
  EXPECT_EQ(a.device_namespace, b.device_namespace);
  EXPECT_EQ(a.socket_namespace, b.socket_namespace);
  EXPECT_EQ(a.cipher, b.cipher);
  EXPECT_EQ(a.insecure, b.insecure);
  ASSERT_EQ(a.peers.size(), b.peers.size());
  for (std::size_t i = 0; i < a.peers.size(); ++i) {
    EXPECT_EQ(a.peers[i].name, b.peers[i].name);
    EXPECT_EQ(a.peers[i].public_key, b.peers[i].public_key);
    EXPECT_TRUE(a.peers[i].preshared_key == b.peers[i].preshared_key);
    EXPECT_EQ(a.peers[i].allowed_ips, b.peers[i].allowed_ips);
    EXPECT_EQ(a.peers[i].endpoint, b.peers[i].endpoint);
    EXPECT_EQ(a.peers[i].persistent_keepalive, b.peers[i].persistent_keepalive);
    EXPECT_EQ(a.peers[i].bench_rate, b.peers[i].bench_rate);
  }
}

// Not the key that everything's third peer has.
std::string with_own_key(std::string text) {
  const std::string key = "YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
  return text.replace(text.find(key), key.size(), "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=");
}

TEST(ConfigText, is_read_back_as_what_was_written) {
  for (const char* variant : {"Table = 1234", "Table = off", "Table = auto"}) {
    std::string text = with_own_key(everything);
    text.replace(text.find("Table = 1234"), 12, variant);
    const Config config = parse_config(text, "test.conf");
    expect_same(config, parse_config(to_text(config, ConfigText::Whole), "test.conf"));
  }
}

TEST(ConfigText, of_the_examples_is_read_back_as_what_was_written) {
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(CULVERT_SOURCE_DIR) / "configs")) {
    if (entry.path().extension() != ".conf") continue;
    const Config config = read_config_file(entry.path());
    expect_same(config, parse_config(to_text(config, ConfigText::Whole), entry.path().string()));
  }
}

TEST(ConfigText, of_a_tap_is_read_back_as_one) {
  const Config config = parse_config(
      "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nMode = tap\nRelay = no\n"
      "Bridge = br0\nBridgePort = eth1\n",
      "a.conf");
  const WipedString text = to_text(config, ConfigText::Whole);
  const Config again = parse_config(text, "a.conf");
  EXPECT_EQ(again.mode, DeviceMode::Switched);
  EXPECT_EQ(again.switching, config.switching);
  EXPECT_EQ(again.bridge, "br0");
  EXPECT_EQ(again.bridge_port, "eth1");
  EXPECT_EQ(text.find("Table"), WipedString::npos) << "a tap has none";
}

TEST(ConfigText, for_wg_has_only_what_wg_knows) {
  const Config config = parse_config(with_own_key(everything), "test.conf");
  EXPECT_EQ(std::string(to_text(config, ConfigText::ForWg)), R"([Interface]
ListenPort = 51820
FwMark = 51820
PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=

[Peer]
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
PresharedKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
AllowedIPs = 10.0.0.0/24, fd00::/64, 10.2.0.7/32
Endpoint = vpn.example.com:51820
PersistentKeepalive = 25

[Peer]
PublicKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
Endpoint = [fe80::1%eth0]:7

[Peer]
PublicKey = YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
Endpoint = [2001:db8::1]:8
)");
}

TEST(ConfigText, has_no_private_key_where_there_is_none) {
  const Config config = parse_config("[Interface]\nPostUp = true\n", "test.conf");
  EXPECT_THAT(std::string(to_text(config, ConfigText::Whole)), Not(HasSubstr("PrivateKey")));
}

TEST(WriteConfigFile, replaces_the_file_for_us_alone) {
  const test::TemporaryDirectory directory;
  const std::string path = directory.file("a.conf");
  std::ofstream(path) << "before, and longer than what comes";
  ::chmod(path.c_str(), 0644);
  std::ofstream(path + ".tmp") << "what a killed one left";
  write_config_file(path, WipedString("after\n"));
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), "after\n");
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_NE(::access((path + ".tmp").c_str(), F_OK), 0);
}

TEST(WriteConfigFile, leaves_the_file_as_it_is_when_there_is_no_room) {
  const test::TemporaryDirectory directory;
  const std::string path = directory.file("a.conf");
  std::ofstream(path) << "before";
  ASSERT_EQ(::symlink("/dev/full", (path + ".tmp").c_str()), 0);
  ::mkdir((path + ".tmp.d").c_str(), 0700);
  write_config_file(path, WipedString("after"));  // A link in its way is removed, not followed.
  EXPECT_THROW(write_config_file(directory.file("nowhere/a.conf"), WipedString("x")), std::system_error);
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), "after");
}

constexpr const char* said =
    "private_key=c809f3e5317e9575c9b5ed78b638b7ce530dabe85ddab614220241801ddf0669\nlisten_port=7777\nfwmark=51820\n"
    "culvert_pid=1\n"
    "public_key=c53201039adba14be71f886da1d8dbe9eebded08cb111b75340078999aa9f038\n"
    "preshared_key=0000000000000000000000000000000000000000000000000000000000000000\nprotocol_version=1\n"
    "endpoint=192.0.2.9:1000\nlast_handshake_time_sec=5\nlast_handshake_time_nsec=6\ntx_bytes=1\nrx_bytes=2\n"
    "persistent_keepalive_interval=0\nallowed_ip=10.7.0.0/16\n"
    "public_key=6009f3e5317e9575c9b5ed78b638b7ce530dabe85ddab614220241801ddf0669\nendpoint=[2001:db8::9]:9\n"
    "persistent_keepalive_interval=13\nallowed_ip=fd07::/64\nallowed_ip=10.8.0.0/16\n";

TEST(TakeDeviceState, puts_what_the_device_says_in_the_place_of_what_the_file_said) {
  Config config = parse_config(with_own_key(everything), "test.conf");
  take_device_state(config, said, 0);
  EXPECT_EQ(config.listen_port, 7777);
  ASSERT_EQ(config.peers.size(), 2u);
  EXPECT_EQ(config.peers[0].name, "Office in Kassel");
  EXPECT_EQ(config.peers[0].endpoint->host, "vpn.example.com") << "a name stays a name";
  EXPECT_TRUE(config.peers[0].preshared_key.is_zero());
  EXPECT_EQ(config.peers[0].persistent_keepalive.count(), 0);
  EXPECT_EQ(config.peers[0].bench_rate, 2'500'000'000u) << "only the file knows it";
  EXPECT_EQ(config.peers[0].allowed_ips, std::vector{*Prefix::parse("10.7.0.0/16")});
  EXPECT_EQ(config.peers[1].endpoint->literal, Endpoint::parse("[2001:db8::9]:9"));
  EXPECT_EQ(config.peers[1].persistent_keepalive.count(), 13);
  EXPECT_EQ(config.peers[1].allowed_ips.size(), 2u);
  EXPECT_EQ(config.post_up.size(), 2u) << "what only the file knows stays";
  expect_same(config, parse_config(to_text(config, ConfigText::Whole), "test.conf"));
}

TEST(TakeDeviceState, leaves_out_a_mark_that_nobody_asked_for) {
  Config config = parse_config("[Interface]\nPostUp = true\n", "test.conf");
  take_device_state(config, "fwmark=51820\n", 51820);
  EXPECT_EQ(config.firewall_mark, std::nullopt);
  take_device_state(config, "fwmark=0\n", 51820);
  EXPECT_EQ(config.firewall_mark, std::nullopt);
  take_device_state(config, "fwmark=7\n", 51820);
  EXPECT_EQ(config.firewall_mark, 7u);
  take_device_state(config, "fwmark=51820\n", 51820);
  EXPECT_EQ(config.firewall_mark, 51820u) << "the file has one";
}

TEST(TakeDeviceState, forgets_a_key_that_the_device_has_not) {
  Config config = parse_config(with_own_key(everything), "test.conf");
  take_device_state(config, "listen_port=1\n", 0);
  EXPECT_TRUE(config.private_key.is_zero());
  EXPECT_EQ(config.firewall_mark, std::nullopt);
}

TEST(TakeDeviceState, refuses_what_no_device_says) {
  const std::string peer = "public_key=c53201039adba14be71f886da1d8dbe9eebded08cb111b75340078999aa9f038\n";
  for (const std::string& wrong :
       {std::string("nonsense\n"), std::string("private_key=12\n"), std::string("listen_port=65536\n"),
        std::string("fwmark=x\n"), std::string("public_key=12\n"), peer + "preshared_key=1\n", peer + "endpoint=x\n",
        peer + "allowed_ip=1.2.3.4/33\n", peer + "persistent_keepalive_interval=-1\n"}) {
    Config config = parse_config("[Interface]\nPostUp = true\n", "test.conf");
    EXPECT_THROW(take_device_state(config, wrong, 0), std::runtime_error) << wrong;
  }
}

}  // namespace
}  // namespace culvert
