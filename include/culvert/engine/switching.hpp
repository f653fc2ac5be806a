// What a switched device has beside a routed one.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "culvert/base/random.hpp"
#include "culvert/engine/loop_guard.hpp"
#include "culvert/forwarding/ethernet_switch.hpp"

namespace culvert {

struct Switching {
  explicit Switching(Random& random) : ethernet(random_words(random)), loops(random) {}

  /// Before the peer's first frame.
  void add_port(PeerId peer) {
    ethernet.add_port(peer);
    loops.add_port(peer);
    if (is_restricted.size() <= peer.value()) is_restricted.resize(peer.value() + 1);
  }
  void remove_port(PeerId peer) noexcept {
    ethernet.remove_port(peer);
    loops.remove_port(peer);
  }

  EthernetSwitch ethernet;
  LoopGuard loops;
  /// By slot: the peer has AllowedIPs, which its frames must then come from.
  std::vector<bool> is_restricted;

 private:
  static std::array<std::uint64_t, 2> random_words(Random& random) noexcept {
    std::array<std::uint64_t, 2> words;
    random.fill(std::as_writable_bytes(std::span(words)));
    return words;
  }
};

}  // namespace culvert
