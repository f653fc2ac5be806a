// Lines of the configuration protocol become one change, or an error and nothing.
#include "culvert/config/uapi_reader.hpp"

#include <gtest/gtest.h>

#include <string>

namespace culvert {
namespace {

const std::string key_text(64, '7');
const std::string zero_text(64, '0');

UapiError read_all(UapiReader& reader, std::initializer_list<std::string> lines) {
  for (const std::string& line : lines) {
    if (const UapiError error = reader.read_line(line); error != UapiError::None) return error;
  }
  return UapiError::None;
}

TEST(UapiReader, reads_every_device_key) {
  UapiReader reader;
  ASSERT_EQ(read_all(reader, {"private_key=" + key_text, "listen_port=51820", "fwmark=4242", "replace_peers=true"}),
            UapiError::None);
  const DeviceChange change = reader.take();
  EXPECT_FALSE(change.private_key->is_zero());
  EXPECT_EQ(change.listen_port, 51820);
  EXPECT_EQ(change.firewall_mark, 4242u);
  EXPECT_TRUE(change.replace_peers);
  EXPECT_TRUE(change.peers.empty());
}

TEST(UapiReader, reads_every_peer_key) {
  UapiReader reader;
  ASSERT_EQ(read_all(reader, {"public_key=" + key_text, "update_only=true", "preshared_key=" + key_text,
                              "endpoint=[2001:db8::1]:7", "persistent_keepalive_interval=25",
                              "replace_allowed_ips=true", "allowed_ip=10.1.2.3/8", "allowed_ip=-fd00::/64",
                              "protocol_version=1", "public_key=" + zero_text, "remove=true"}),
            UapiError::None);
  const DeviceChange change = reader.take();
  ASSERT_EQ(change.peers.size(), 2u);
  const PeerChange& peer = change.peers[0];
  EXPECT_TRUE(peer.update_only);
  EXPECT_FALSE(peer.is_removal);
  EXPECT_TRUE(peer.preshared_key.has_value());
  EXPECT_EQ(peer.endpoint->to_string(), "[2001:db8::1]:7");
  EXPECT_EQ(peer.persistent_keepalive, std::chrono::seconds(25));
  EXPECT_TRUE(peer.replace_allowed_ips);
  ASSERT_EQ(peer.allowed_ips.size(), 2u);
  EXPECT_EQ(peer.allowed_ips[0].prefix.to_string(), "10.0.0.0/8");
  EXPECT_FALSE(peer.allowed_ips[0].is_removal);
  EXPECT_EQ(peer.allowed_ips[1].prefix.to_string(), "fd00::/64");
  EXPECT_TRUE(peer.allowed_ips[1].is_removal);
  EXPECT_TRUE(change.peers[1].is_removal);
}

TEST(UapiReader, starts_over_after_take) {
  UapiReader reader;
  ASSERT_EQ(read_all(reader, {"listen_port=1", "public_key=" + key_text}), UapiError::None);
  (void)reader.take();
  const DeviceChange change = reader.take();
  EXPECT_FALSE(change.listen_port);
  EXPECT_TRUE(change.peers.empty());
}

TEST(UapiReader, a_line_without_equals_is_no_protocol) {
  UapiReader reader;
  EXPECT_EQ(reader.read_line("listen_port"), UapiError::NotProtocol);
  EXPECT_EQ(reader.read_line(""), UapiError::NotProtocol);
}

class UapiReaderRefuses : public ::testing::TestWithParam<const char*> {};

TEST_P(UapiReaderRefuses, device_line) {
  UapiReader reader;
  EXPECT_EQ(reader.read_line(GetParam()), UapiError::Invalid) << GetParam();
}

TEST_P(UapiReaderRefuses, the_same_line_in_a_peer) {
  UapiReader reader;
  ASSERT_EQ(reader.read_line("public_key=" + key_text), UapiError::None);
  EXPECT_EQ(reader.read_line(GetParam()), UapiError::Invalid) << GetParam();
}

INSTANTIATE_TEST_SUITE_P(
    Lines, UapiReaderRefuses,
    ::testing::Values("unknown=1", "private_key=77", "private_key=", "listen_port=65536", "listen_port=-1",
                      "listen_port=", "listen_port=1x", "fwmark=4294967296", "fwmark=x", "replace_peers=false",
                      "replace_peers=", "public_key=1234", "=1", "remove=1", "update_only=no", "preshared_key=7",
                      "endpoint=example.org:1", "endpoint=1.2.3.4", "endpoint=1.2.3.4:65536",
                      "persistent_keepalive_interval=65536", "persistent_keepalive_interval=off",
                      "replace_allowed_ips=1", "allowed_ip=1.2.3.4/33", "allowed_ip=--1.2.3.4/32", "allowed_ip=",
                      "protocol_version=2", "LISTEN_PORT=1"));

TEST(UapiReader, device_keys_do_not_belong_behind_a_peer) {
  for (const char* line : {"private_key=", "listen_port=1", "fwmark=1", "replace_peers=true"}) {
    UapiReader reader;
    ASSERT_EQ(reader.read_line("public_key=" + key_text), UapiError::None);
    EXPECT_EQ(reader.read_line(line), UapiError::Invalid) << line;
  }
}

TEST(UapiReader, peer_keys_do_not_belong_before_a_peer) {
  for (const char* line : {"remove=true", "update_only=true", "endpoint=1.2.3.4:5", "allowed_ip=10.0.0.0/8",
                           "persistent_keepalive_interval=1", "replace_allowed_ips=true", "protocol_version=1"}) {
    UapiReader reader;
    EXPECT_EQ(reader.read_line(line), UapiError::Invalid) << line;
  }
}

}  // namespace
}  // namespace culvert
