// A byte string as frames from all sides of a switch: whatever they are, nothing goes back where it came from, memory
// stays bounded, and no peer takes an address of the local side.
#include <algorithm>

#include "require.hpp"
#include "support/ethernet_frames.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

void run(ByteView script) {
  EthernetSwitch ethernet({3, 4});
  constexpr std::uint32_t peers = 4;
  for (std::uint32_t i = 0; i < peers; ++i) ethernet.add_port(PeerId(i));
  Timestamp now(1h);
  while (script.size() >= 2) {
    const auto control = std::to_integer<unsigned>(script[0]);
    const std::size_t size = std::min<std::size_t>(std::to_integer<std::size_t>(script[1]) % 64, script.size() - 2);
    const ByteView frame = script.subspan(2, size);
    script = script.subspan(2 + size);
    now += std::chrono::milliseconds(control / 16 * 1000);
    const SwitchPort from = control % 8 < peers ? SwitchPort(PeerId(control % 8)) : SwitchPort();
    if (control % 8 == 6) ethernet.set({.relay = (control & 16) != 0, .link_local_frames = (control & 32) != 0});
    if (control % 8 == 7) ethernet.set_blocked(PeerId(control / 16 % peers), (control & 8) != 0);

    const Verdict<EthernetHeader> header = parse_ethernet_header(frame);
    if (!header) continue;
    require(header->length <= frame.size() && header->vlan < 4096, "a header lies inside its frame");
    (void)claimed_address(*header, frame);
    const auto owner = ethernet.table().find(header->vlan, header->source, now);
    bool was_just_local = false;
    ethernet.table().for_each(now, [&](const MacTable::Entry& entry) {
      if (entry.vlan != header->vlan || entry.address != header->source || !entry.port.is_local()) return;
      was_just_local = now - entry.seen < MacTable::local_time;
    });
    const auto decision = ethernet.decide(from, *header, now);
    require(ethernet.table().size() <= MacTable::capacity, "memory is bounded");
    if (was_just_local) {
      require(ethernet.table().find(header->vlan, header->source, now) == owner, "nobody takes a local address");
      require(from.is_local() || !decision, "nobody speaks for a local station");
    }
    if (!decision) continue;
    require(!header->source.is_multicast() && !header->source.is_zero(), "a source is a station");
    require(from.is_local() || !ethernet.is_blocked(from.peer()), "a blocked port is silent");
    if (decision->is_flood) {
      require(from.is_local() || !ethernet.floods(from, from.peer()), "nothing goes back");
    } else {
      require(decision->to != from, "nothing goes back");
      require(decision->to.is_local() || !ethernet.is_blocked(decision->to.peer()), "a blocked port gets nothing");
      require(decision->to.is_local() || from.is_local() || ethernet.settings().relay, "relay is a choice");
    }
  }
}

/// The same bytes as what a peer puts into an envelope, and as what a device says.
void run_engines(ByteView bytes) {
  SwitchedLan lan(3);
  lan.connect(1, 0);
  lan.connect(2, 0);
  lan.settle();
  lan.send(1, bytes);
  lan.send(0, bytes);
  for (std::size_t i = 0; i < 3; ++i) {
    for (const Bytes& frame : lan[i].frames.take()) require(frame.size() >= 14, "no fragment of a frame comes out");
  }
}

}  // namespace
}  // namespace culvert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  culvert::run(bytes);
  culvert::run_engines(bytes);
  return 0;
}
