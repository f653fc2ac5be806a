// The files in configs/ parse, and the ends of one tunnel fit each other.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>

#include "culvert/config/config_file.hpp"
#include "culvert/crypto/key_exchange.hpp"
#include "support/crypto_ready.hpp"

namespace culvert {
namespace {

const std::filesystem::path folder = std::filesystem::path(CULVERT_SOURCE_DIR) / "configs";

std::map<std::string, Config> all_examples() {
  std::map<std::string, Config> examples;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".conf") continue;
    examples.emplace(entry.path().filename(), read_config_file(entry.path()));
  }
  return examples;
}

const PeerConfig& peer_named(const Config& config, const std::string& name) {
  const auto found =
      std::find_if(config.peers.begin(), config.peers.end(), [&](const auto& p) { return p.name == name; });
  if (found == config.peers.end()) throw std::runtime_error("no peer " + name);
  return *found;
}

/// Each end has the other's key, the same preshared key, and gives it the addresses it has.
void expect_pair(const Config& a, const PeerConfig& b_at_a, const Config& b, const PeerConfig& a_at_b) {
  EXPECT_EQ(b_at_a.public_key, public_key_of(b.private_key));
  EXPECT_EQ(a_at_b.public_key, public_key_of(a.private_key));
  EXPECT_TRUE(b_at_a.preshared_key == a_at_b.preshared_key);
  const auto reaches = [](const PeerConfig& peer, const Config& config) {
    return std::ranges::all_of(config.addresses, [&](const Prefix& own) {
      return std::ranges::any_of(peer.allowed_ips, [&](const Prefix& p) { return p.contains(own.address); });
    });
  };
  EXPECT_TRUE(reaches(b_at_a, b));
  EXPECT_TRUE(reaches(a_at_b, a));
}

TEST(ExampleConfigs, all_parse_and_are_named_as_devices_can_be) {
  const auto examples = all_examples();
  EXPECT_GE(examples.size(), 5U);
  for (const auto& [name, config] : examples) {
    EXPECT_EQ(device_name_of(name) + ".conf", name);
    EXPECT_FALSE(config.peers.empty()) << name;
  }
}

TEST(ExampleConfigs, the_two_sites_fit_each_other) {
  const auto examples = all_examples();
  const Config& a = examples.at("site-a.conf");
  const Config& b = examples.at("site-b.conf");
  expect_pair(a, peer_named(a, "site-b"), b, peer_named(b, "site-a"));
  EXPECT_FALSE(peer_named(a, "site-b").preshared_key.is_zero());
}

TEST(ExampleConfigs, the_travelling_device_fits_its_server) {
  const auto examples = all_examples();
  const Config& server = examples.at("server.conf");
  const Config& device = examples.at("roadwarrior.conf");
  expect_pair(server, peer_named(server, "laptop of Ada"), device, peer_named(device, "server"));
}

}  // namespace
}  // namespace culvert
