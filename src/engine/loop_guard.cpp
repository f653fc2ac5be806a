// Probes that come back, and what follows.
#include "culvert/engine/loop_guard.hpp"

#include <algorithm>
#include <cstring>

namespace culvert {
namespace {

/// Locally administered, a group: no bridge keeps it to itself.
constexpr std::array<std::byte, 6> group{std::byte{0x03}, std::byte{'c'}, std::byte{'u'},
                                         std::byte{'l'},  std::byte{'v'}, std::byte{'t'}};
constexpr std::byte version{1};
constexpr std::byte is_deciding{1};
/// What is older than so many rounds was held up somewhere, or is a recording.
constexpr std::uint32_t rounds_remembered = 32;

}  // namespace

LoopGuard::LoopGuard(Random& random) {
  random.fill(secret_);
  random.fill(std::as_writable_bytes(std::span(&instance_, 1)));
  const auto by_chance = std::chrono::milliseconds(instance_ % 5000);
  hold_time_ = limits::loop_hold_time + by_chance;
}

void LoopGuard::add_port(PeerId peer) {
  if (ports_.size() <= peer.value()) ports_.resize(peer.value() + 1);
}

void LoopGuard::remove_port(PeerId peer) noexcept {
  if (peer.value() < ports_.size()) ports_[peer.value()] = {};
  if (decision_ && decision_->port == peer) decision_.reset();
  if (doubt_ && doubt_->port == peer) doubt_.reset();
}

bool LoopGuard::take_due(Timestamp now) noexcept {
  if (probed_ && now - *probed_ < interval_) return false;
  probed_ = now;
  interval_ = limits::loop_probe_interval;
  ++round_;
  for (Port& port : ports_) {
    if (port.is_blocked) ++port.rounds_since;
  }
  return true;
}

std::array<std::byte, 16> LoopGuard::token_of(std::uint32_t round, std::uint32_t port) const noexcept {
  struct {
    Be32 round;
    Be32 port;
  } words{round, port};
  return keyed_blake2s(secret_, {bytes_of(words)});
}

WireLoopProbe LoopGuard::probe_for(PeerId port) const noexcept {
  WireLoopProbe probe{};
  probe.destination = group;
  // A station of its own, so that no bridge mistakes where a real one is.
  probe.source[0] = std::byte{0x02};
  std::memcpy(&probe.source[1], &instance_, 5);
  probe.type = loop_probe_type;
  probe.version = version;
  probe.flags = decision_ ? is_deciding : std::byte{0};
  probe.instance = instance_;
  probe.round = round_;
  probe.port = port.value();
  probe.token = token_of(round_, port.value());
  return probe;
}

const WireLoopProbe* LoopGuard::read(ByteView frame) noexcept {
  if (frame.size() < sizeof(WireLoopProbe)) return nullptr;
  const auto* probe = reinterpret_cast<const WireLoopProbe*>(frame.data());
  const bool is_one = probe->type == loop_probe_type && probe->destination == group && probe->version == version;
  return is_one ? probe : nullptr;
}

LoopGuard::Origin LoopGuard::arrived(const WireLoopProbe& probe, SwitchPort from, Timestamp now) noexcept {
  if (probe.instance != instance_) {
    if ((probe.flags & is_deciding) != std::byte{0}) {
      interval_ = std::min<Timestamp::duration>(interval_, limits::loop_probe_interval_min);
      if (probe.instance < instance_) smaller_heard_ = now;
    }
    return Origin::Other;
  }
  const std::uint32_t round = probe.round;
  const std::uint32_t number = probe.port;
  if (number >= ports_.size() || round_ - round >= rounds_remembered || probe.token != token_of(round, number)) {
    return Origin::Own;
  }
  // Back by the port it left by: there is a loop, but behind that port, and without us.
  const SwitchPort left_by = PeerId(number);
  if (left_by == from) return Origin::Own;
  const PeerId loser = std::max(left_by, from).peer();
  Port& port = ports_[loser.value()];
  port.returned = now;
  port.rounds_since = 0;
  // Through a blocked port no frame goes round, only probes.
  if (!port.is_blocked) doubt_ = Deadline{loser, now + limits::loop_unsure_time};
  if (port.is_blocked || decision_) return Origin::Own;
  decision_ = Deadline{loser, now + limits::loop_decision_time};
  if (!suspected_ || now - *suspected_ > 2 * limits::loop_patience) suspected_ = now;
  // The others in the loop must hear of it before they decide.
  interval_ = {};
  return Origin::Own;
}

bool LoopGuard::take_doubt(Timestamp now) noexcept {
  if (!doubt_ || now < doubt_->time) return false;
  doubt_.reset();
  return true;
}

std::optional<LoopGuard::Change> LoopGuard::take_change(Timestamp now) noexcept {
  if (decision_ && decision_->time <= now) {
    const PeerId loser = decision_->port;
    const bool was_smaller_heard = smaller_heard_ && *smaller_heard_ + 2 * limits::loop_decision_time > decision_->time;
    decision_.reset();
    if (!was_smaller_heard || now - *suspected_ >= limits::loop_patience) {
      ports_[loser.value()].is_blocked = true;
      suspected_.reset();
      return Change{loser, true};
    }
  }
  for (std::uint32_t number = 0; number < ports_.size(); ++number) {
    Port& port = ports_[number];
    if (!port.is_blocked || now - *port.returned < hold_time_ || port.rounds_since < limits::loop_probes_lost_min) {
      continue;
    }
    port = {};
    return Change{PeerId(number), false};
  }
  return std::nullopt;
}

}  // namespace culvert
