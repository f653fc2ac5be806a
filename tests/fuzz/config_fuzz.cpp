// Any text through parse_config: nothing but ConfigError comes out, and its message is one printable line.
#include <algorithm>
#include <string_view>

#include "culvert/config/config_file.hpp"
#include "require.hpp"
#include "support/crypto_ready.hpp"

namespace culvert {
namespace {

void run(std::string_view text) {
  try {
    const Config config = parse_config(text, "fuzz.conf");
    const bool has_hooks = !config.pre_up.empty() || !config.post_up.empty();
    require(!config.private_key.is_zero() || has_hooks, "there is a private key, or a hook that may set one");
    require(!config.mtu || *config.mtu >= 68, "the MTU is at least that of IPv4");
    for (const PeerConfig& peer : config.peers) {
      require(peer.line >= 1, "a peer has a line");
      for (const Prefix& prefix : peer.allowed_ips) require(prefix == prefix.masked(), "no host bits are left");
      if (peer.endpoint) require(peer.endpoint->port != 0 && !peer.endpoint->host.empty(), "an endpoint is complete");
    }
  } catch (const ConfigError& error) {
    const std::string_view message = error.what();
    require(std::all_of(message.begin(), message.end(), [](char c) { return c >= 0x20 && c <= 0x7e; }),
            "the message is printable");
    const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
    require(error.line() >= 1 && error.line() <= lines, "the line exists");
    require(error.column() >= 1 && error.column() <= text.size() + 1, "the column exists");
  }
}

}  // namespace
}  // namespace culvert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  culvert::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
