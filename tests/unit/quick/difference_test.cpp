// What a changed file would change, in words.
#include "culvert/quick/difference.hpp"

#include <gmock/gmock.h>

#include "support/crypto_ready.hpp"

namespace culvert {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* private_key = "YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
constexpr const char* other_private_key = "gI6EdUSYvn8ugXOt8QQD6Yc+JyiZxIhp3GInSWRfWGE=";
constexpr const char* peer_key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
constexpr const char* other_peer_key = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";

std::string file_of(const std::string& interface_lines, const std::string& peers, const char* key = private_key) {
  return std::string("[Interface]\nPrivateKey = ") + key + "\n" + interface_lines + peers;
}

std::string peer_of(const std::string& lines, const char* key = peer_key) {
  return std::string("[Peer]\nPublicKey = ") + key + "\n" + lines;
}

/// A tunnel that is as its file says.
class Tunnel {
 public:
  explicit Tunnel(const std::string& text) : file(parse_config(text, "test.conf")) {
    present.file = &file;
    present.device = parse_config(text, "test.conf");
    if (!present.device.listen_port) present.device.listen_port = 51820;
    present.mtu = file.mtu.value_or(1420);
    present.addresses = file.addresses;
  }
  std::vector<std::string> against(const std::string& text) {
    return differences(present, parse_config(text, "test.conf"), {}, {});
  }
  Config file;
  PresentState present;
};

TEST(Difference, of_a_tunnel_and_its_own_file_is_none) {
  const std::string text = file_of("Address = 10.0.0.1/24\nMTU = 1400\nListenPort = 7\nDNS = 10.0.0.2\nPostUp = true\n",
                                   peer_of("AllowedIPs = 10.1.0.0/16\nEndpoint = host.example:7\nName = b\n"));
  EXPECT_THAT(Tunnel(text).against(text), IsEmpty());
}

TEST(Difference, names_each_value_of_the_interface) {
  Tunnel tunnel(file_of("Address = 10.0.0.1/24\nMTU = 1400\nListenPort = 7\nFwMark = 5\n", ""));
  EXPECT_THAT(
      tunnel.against(file_of(
          "Cipher = aes-256-gcm\nAddress = 10.0.0.2/24\nMTU = 1380\nListenPort = 8\nDNS = 10.0.0.3, example.org\n"
          "Table = off\nSaveConfig = true\nPreDown = true\nPostUp = true\n",
          "")),
      ElementsAre("Cipher: auto -> aes-256-gcm", "ListenPort: 7 -> 8", "FwMark: 5 -> off", "MTU: 1400 -> 1380",
                  "Address -10.0.0.1/24 +10.0.0.2/24", "Table: auto -> off", "DNS: none -> 10.0.0.3, example.org",
                  "SaveConfig on", "PreDown and PostDown: other hooks when it goes down",
                  "PreUp and PostUp: other hooks, which a reload does not run"));
}

TEST(Difference, names_where_the_socket_goes) {
  Tunnel tunnel(file_of("SocketNamespace = red\n", ""));
  EXPECT_THAT(tunnel.against(file_of("SocketNamespace = pid:1\n", "")), ElementsAre("SocketNamespace: red -> pid:1"));
  EXPECT_THAT(tunnel.against(file_of("", "")), ElementsAre("SocketNamespace: red -> none"));
}

TEST(Difference, names_what_a_switch_does) {
  Tunnel tunnel(file_of("Mode = tap\nMTU = 1420\n", ""));
  EXPECT_THAT(tunnel.against(file_of("Mode = tap\nMTU = 1420\nRelay = no\nLinkLocalFrames = yes\n", "")),
              ElementsAre("Relay: yes -> no", "LinkLocalFrames: no -> yes"));
}

TEST(Difference, tells_of_secret_keys_only_that_they_change) {
  const std::string psk = "PresharedKey = /UwcSPg38hW/D9Y3tcS1FOV0K1wuURMbS0sesJEP5ak=\n";
  Tunnel tunnel(file_of("", peer_of("")));
  const auto lines = tunnel.against(file_of("", peer_of(psk), other_private_key));
  EXPECT_THAT(lines, ElementsAre("PrivateKey changes: all sessions begin anew",
                                 "peer " + std::string(peer_key) + ": PresharedKey changes"));
  EXPECT_THAT(lines, Each(AllOf(Not(HasSubstr("UwcS")), Not(HasSubstr("gI6E")), Not(HasSubstr("YAnz")))));
}

TEST(Difference, leaves_a_private_key_alone_that_the_file_does_not_have) {
  Tunnel tunnel(file_of("", ""));
  EXPECT_THAT(tunnel.against("[Interface]\nPostUp = true\n"),
              ElementsAre("PreUp and PostUp: other hooks, which a reload does not run"));
}

TEST(Difference, names_peers_that_come_and_go) {
  Tunnel tunnel(file_of("", peer_of("Name = old\n")));
  EXPECT_THAT(
      tunnel.against(file_of("", peer_of("", other_peer_key))),
      ElementsAre("peer old " + std::string(peer_key) + ": goes", "peer " + std::string(other_peer_key) + ": comes"));
}

TEST(Difference, names_a_peer_that_no_file_has) {
  Tunnel tunnel(file_of("", ""));
  tunnel.present.device = parse_config(file_of("ListenPort = 51820\n", peer_of("")), "test.conf");
  EXPECT_THAT(tunnel.against(file_of("", "")), ElementsAre("peer " + std::string(peer_key) + ": goes"));
}

TEST(Difference, names_each_value_of_a_peer) {
  Tunnel tunnel(file_of("", peer_of("AllowedIPs = 10.1.0.0/16, 10.2.0.0/16\nEndpoint = 192.0.2.1:7\n")));
  const std::string label = "peer b " + std::string(peer_key) + ": ";
  EXPECT_THAT(tunnel.against(file_of("", peer_of("Name = b\nAllowedIPs = 10.2.0.0/16, fd00::/64\nEndpoint = "
                                                 "host.example:8\nPersistentKeepalive = 25\nAllowBench = 2500M\n"))),
              ElementsAre(label + "Name: none -> b", label + "AllowBench: no -> 2500M",
                          label + "Endpoint: 192.0.2.1:7 -> host.example:8", label + "PersistentKeepalive: off -> 25",
                          label + "AllowedIPs -10.1.0.0/16 +fd00::/64"));
}

TEST(Difference, is_none_where_a_peer_has_moved_by_itself) {
  Tunnel tunnel(file_of("", peer_of("Endpoint = 192.0.2.1:7\n")));
  tunnel.present.device.peers[0].endpoint = EndpointName{"192.0.2.99", 1234, Endpoint::parse("192.0.2.99:1234")};
  EXPECT_THAT(tunnel.against(file_of("", peer_of("Endpoint = 192.0.2.1:7\n"))), IsEmpty());
}

TEST(Difference, is_none_for_what_no_file_asked_for) {
  Tunnel tunnel(file_of("Address = 10.0.0.1/24\n", ""));
  tunnel.present.addresses.push_back(*Prefix::parse("10.9.9.9/24"));
  EXPECT_THAT(tunnel.against(file_of("Address = 10.0.0.1/24\n", "")), IsEmpty());
}

TEST(Difference, names_what_is_missing_although_both_files_have_it) {
  Tunnel tunnel(file_of("Address = 10.0.0.1/24\n", ""));
  tunnel.present.addresses.clear();
  EXPECT_THAT(tunnel.against(file_of("Address = 10.0.0.1/24\n", "")), ElementsAre("Address +10.0.0.1/24"));
}

TEST(Difference, names_routes_with_their_table) {
  Tunnel tunnel(file_of("", ""));
  const Route old{*Prefix::parse("10.1.0.0/16")};
  const Route by_hook{*Prefix::parse("10.5.0.0/16")};
  const Route fresh{*Prefix::parse("0.0.0.0/0"), 51820};
  tunnel.present.routes = {old, by_hook};
  EXPECT_THAT(differences(tunnel.present, parse_config(file_of("", ""), "test.conf"), {old}, {fresh}),
              ElementsAre("routes -10.1.0.0/16 +0.0.0.0/0 table 51820"));
}

}  // namespace
}  // namespace culvert
