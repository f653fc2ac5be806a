// The decisions of a learning switch between the local device and the peers.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "culvert/base/result.hpp"
#include "culvert/base/time.hpp"
#include "culvert/forwarding/ethernet_header.hpp"
#include "culvert/forwarding/mac_table.hpp"
#include "culvert/forwarding/switch_port.hpp"

namespace culvert {

struct SwitchSettings {
  bool relay = true;               ///< frames of one peer may go to another
  bool link_local_frames = false;  ///< also 01:80:c2:00:00:0x is forwarded: spanning tree, LLDP, pause
  friend bool operator==(const SwitchSettings&, const SwitchSettings&) = default;
};

/// Knows ports and addresses, no payload and no queue. A frame for a known station goes to its port; one for an unknown
/// station or a group goes once to every port but the one it came from. No call but add_port() allocates.
class EthernetSwitch {
 public:
  /// Frames of one peer that go everywhere: this many at once, and again so many a second. Together they are no more
  /// than 1000 in any second.
  static constexpr unsigned floods_burst = 200;
  static constexpr unsigned floods_per_second = 800;
  /// Likewise probes for loops, at once and a second.
  static constexpr unsigned probes_burst = 64;
  static constexpr unsigned probes_per_second = 64;

  /// `hash_key` should be random.
  explicit EthernetSwitch(const std::array<std::uint64_t, 2>& hash_key) : table_(hash_key) {}

  void set(const SwitchSettings& settings) noexcept { settings_ = settings; }
  [[nodiscard]] const SwitchSettings& settings() const noexcept { return settings_; }

  /// The local device's own address, which is known before it has said anything, in every VLAN.
  void set_own_address(MacAddress address) noexcept { own_address_ = address; }

  /// Before the peer's first frame; also makes a port of what was removed. May allocate.
  void add_port(PeerId peer);
  /// Forgets the stations behind the peer, at once.
  void forget_stations(SwitchPort port) noexcept { table_.remove(port); }
  void forget_stations() noexcept { table_.clear(); }
  /// Forgets all about the peer.
  void remove_port(PeerId peer) noexcept;
  /// Whether frames from and to the peer are dropped; its stations are forgotten when it is blocked.
  void set_blocked(PeerId peer, bool is_blocked) noexcept;
  [[nodiscard]] bool is_blocked(PeerId peer) const noexcept { return peers_[peer.value()].is_blocked; }

  /// Where a frame goes.
  struct Decision {
    bool is_flood = false;
    SwitchPort to;  ///< unless is_flood
  };
  /// Learns where the source is and decides about a frame that came from `from`. DropReasons: LinkLocalGroup,
  /// PortBlocked, SourceAddress, LocalAddress, SamePort, NotRelayed, FloodLimit.
  [[nodiscard]] Verdict<Decision> decide(SwitchPort from, const EthernetHeader& header, Timestamp now) noexcept;
  /// Likewise about a probe for loops, which teaches nothing and has an allowance of its own, so that a storm cannot
  /// keep it from being seen. DropReasons: PortBlocked, FloodLimit.
  [[nodiscard]] Verdict<void> admit_probe(SwitchPort from, Timestamp now) noexcept;
  /// Whether what floods from `from` goes to `to`. To the local device goes all that comes from peers.
  [[nodiscard]] bool floods(SwitchPort from, PeerId to) const noexcept {
    return from != SwitchPort(to) && (from.is_local() || settings_.relay) && !is_blocked(to);
  }

  [[nodiscard]] const MacTable& table() const noexcept { return table_; }

 private:
  struct Peer {
    Timestamp flooded_until{};  ///< when all it may flood at once will be allowed again
    Timestamp probed_until{};   ///< likewise of probes
    bool is_blocked = false;
  };

  SwitchSettings settings_;
  MacAddress own_address_;  ///< zero: none
  MacTable table_;
  std::vector<Peer> peers_;  ///< by slot
};

}  // namespace culvert
