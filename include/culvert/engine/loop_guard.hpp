// Finds out that two ports of the switch are joined by another way, too, and which of them to give up.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "culvert/base/bytes.hpp"
#include "culvert/base/endian.hpp"
#include "culvert/base/random.hpp"
#include "culvert/base/time.hpp"
#include "culvert/crypto/hash.hpp"
#include "culvert/forwarding/switch_port.hpp"

namespace culvert {

namespace limits {
/// Between probes while flooded traffic passes, and when somebody else has seen a loop.
inline constexpr auto loop_probe_interval = std::chrono::milliseconds(250);
inline constexpr auto loop_probe_interval_min = std::chrono::milliseconds(10);
/// From our own probe's return to the decision: others may be in the same loop, and one of them blocks a port.
inline constexpr auto loop_decision_time = std::chrono::milliseconds(300);
/// Whoever is to decide does it within this time, or we do.
inline constexpr auto loop_patience = std::chrono::seconds(3);
/// What was learned up to so long after a probe's return may be wrong: frames went round, and seemed to come from where
/// their stations are not. Longer than a decision, and than the interval of probes.
inline constexpr auto loop_unsure_time = std::chrono::milliseconds(700);
/// A port stays blocked as long as probes come back, and so long after that; longer by as much as a half, by chance.
inline constexpr auto loop_hold_time = std::chrono::seconds(10);
/// Probes in a row that did not come back before a port is tried again.
inline constexpr unsigned loop_probes_lost_min = 8;
/// Switches that pass on a probe.
inline constexpr unsigned loop_probe_hops_max = 8;
}  // namespace limits

/// A probe as it lies on the wire, an Ethernet frame of the least size. It is sent out of each port to a group that
/// bridges forward to, so that it comes back if there is a way.
struct WireLoopProbe {
  std::array<std::byte, 6> destination;
  std::array<std::byte, 6> source;
  Be16 type;
  std::byte version;
  std::byte flags;  ///< bit 0: its sender has seen a loop, and is about to block a port
  std::byte hops;   ///< switches that passed it on
  std::byte reserved;
  Be64 instance;  ///< of the sender, random
  Be32 round;
  Be32 port;                        ///< that it left by, as the sender counts
  std::array<std::byte, 16> token;  ///< the sender's, over the two: nobody else makes one
  std::array<std::byte, 10> padding;
};
static_assert(sizeof(WireLoopProbe) == 60 && alignof(WireLoopProbe) == 1);

/// IEEE 802, local experimental ethertype 1.
inline constexpr std::uint16_t loop_probe_type = 0x88b5;

/// Knows when to probe and what a returned probe means. A loop has the one of its switches that has the smallest
/// instance give up a port: of the two between which its probe went round, the one that came later. Never the local
/// one. No call but add_port() allocates.
class LoopGuard {
 public:
  explicit LoopGuard(Random& random);

  void add_port(PeerId peer);
  /// Its successor starts with nothing known.
  void remove_port(PeerId peer) noexcept;

  /// Flooded traffic passes at `now`. True: a probe is to leave by each port that there is, blocked or not.
  [[nodiscard]] bool take_due(Timestamp now) noexcept;
  [[nodiscard]] WireLoopProbe probe_for(PeerId port) const noexcept;

  /// Null if `frame` is none.
  [[nodiscard]] static const WireLoopProbe* read(ByteView frame) noexcept;
  enum class Origin { Own, Other };
  /// A probe arrived by `from`. One of our own is not passed on.
  [[nodiscard]] Origin arrived(const WireLoopProbe& probe, SwitchPort from, Timestamp now) noexcept;

  struct Change {
    PeerId port;
    bool is_blocked = false;
  };
  /// What is to change at `now`, one after the other.
  [[nodiscard]] std::optional<Change> take_change(Timestamp now) noexcept;
  /// True once when a loop has been there and may be over: all that was learned is to be forgotten.
  [[nodiscard]] bool take_doubt(Timestamp now) noexcept;
  /// When one of both has something to say, and about which port.
  struct Deadline {
    PeerId port;
    Timestamp time;
  };
  [[nodiscard]] std::optional<Deadline> deadline() const noexcept { return decision_ ? decision_ : doubt_; }

  /// For tests: who of several decides.
  [[nodiscard]] std::uint64_t instance() const noexcept { return instance_; }

 private:
  struct Port {
    std::optional<Timestamp> returned;  ///< when a probe last came back that speaks against it
    std::uint32_t rounds_since = 0;     ///< without one
    bool is_blocked = false;
  };
  [[nodiscard]] std::array<std::byte, 16> token_of(std::uint32_t round, std::uint32_t port) const noexcept;

  Digest secret_;
  std::uint64_t instance_;
  Timestamp::duration hold_time_;
  std::vector<Port> ports_;
  std::uint32_t round_ = 0;
  std::optional<Timestamp> probed_;
  Timestamp::duration interval_ = limits::loop_probe_interval;  ///< before the next
  std::optional<Deadline> decision_;        ///< when to block a port
  std::optional<Deadline> doubt_;           ///< after the decision
  std::optional<Timestamp> suspected_;      ///< since when decisions were left to others
  std::optional<Timestamp> smaller_heard_;  ///< when one that is about to decide was heard, and goes before us
};

}  // namespace culvert
