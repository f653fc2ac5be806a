// Any text through the control socket's reader and onto a device: nothing breaks, and what was refused changes nothing.
#include <string_view>

#include "culvert/config/uapi_reader.hpp"
#include "culvert/crypto/initialize.hpp"
#include "culvert/engine/engine.hpp"
#include "require.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

void run(std::string_view text) {
  SeededRandom random(1);
  Engine engine(random, limits::default_mtu);
  const Now now{Timestamp(std::chrono::hours(1)), WallTime(std::chrono::hours(1))};
  UapiReader reader;
  UapiError error = UapiError::None;
  std::size_t peers_named = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    // An empty line ends an operation, as on the socket.
    if (!line.empty()) {
      if (error == UapiError::None) error = reader.read_line(line);
      continue;
    }
    DeviceChange change = reader.take();
    peers_named += change.peers.size();
    const std::size_t peers = engine.peers().size();
    if (error == UapiError::None) {
      engine.apply(std::move(change), now);
    } else {
      require(engine.peers().size() == peers, "a refused operation changes nothing");
    }
    error = UapiError::None;
    require(engine.peers().size() <= peers_named, "no peer appears that was not named");
    engine.prefixes().for_each([&](const Prefix& prefix, PeerId id) {
      require(prefix == prefix.masked(), "prefixes have no host bits");
      require(engine.find_peer(id) != nullptr, "each prefix belongs to a peer that is there");
    });
  }
}

}  // namespace
}  // namespace culvert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  culvert::initialize_crypto();
  culvert::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
