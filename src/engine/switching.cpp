// Ethernet frames between the local device and the peers.
#include "culvert/engine/switching.hpp"

#include <cstddef>

#include "culvert/engine/engine.hpp"
#include "culvert/forwarding/ip_header.hpp"
#include "culvert/protocol/envelope.hpp"

namespace culvert {
namespace {

bool is_ip(const EthernetHeader& header) noexcept {
  return header.type == ethertype::ipv4 || header.type == ethertype::ipv6;
}

/// What a host says that has no address yet, and what never leaves a link.
bool may_have_anyone(const Address& source) noexcept {
  if (source.is_unspecified()) return true;
  return !source.is_v4() && source.bytes()[0] == std::byte{0xfe} &&
         (source.bytes()[1] & std::byte{0xc0}) == std::byte{0x80};
}

}  // namespace

void Engine::set_mode(DeviceMode mode) {
  if (mode == mode_) return;
  mode_ = mode;
  switching_.reset();
  if (mode == DeviceMode::Switched) {
    switching_ = std::make_unique<Switching>(random_);
    features_ = Features(features_.bits() | Features{Feature::Ethernet}.bits());
  }
  peers_.for_each([this](Peer& peer) {
    wipe_sessions(peer);
    if (switching_) switching_->add_port(peer.id);
  });
  restrict_sources();
}

void Engine::set_switching(const SwitchSettings& settings) noexcept {
  if (switching_) switching_->ethernet.set(settings);
}

void Engine::set_own_address(MacAddress address) noexcept {
  if (switching_) switching_->ethernet.set_own_address(address);
}

const EthernetSwitch* Engine::ethernet() const noexcept {
  return switching_ ? &switching_->ethernet : nullptr;
}

void Engine::restrict_sources() {
  if (!switching_) return;
  std::vector<bool>& is_restricted = switching_->is_restricted;
  is_restricted.assign(peers_.slot_count(), false);
  prefixes_.for_each([&](const Prefix&, PeerId peer) { is_restricted[peer.value()] = true; });
}

std::size_t Engine::plaintext_max() const noexcept {
  return switching_ ? envelope_header_size + ethernet_header_size + mtu_ : mtu_;
}

bool Engine::is_too_large(const EthernetHeader& header, ByteView frame) const noexcept {
  return frame.size() > header.length + mtu_ ||
         envelope_header_size + frame.size() + limits::data_overhead + limits::padding_multiple >
             limits::datagram_size_max;
}

std::optional<Sealing> Engine::admit_ethernet(ByteView head, std::size_t count, std::size_t bytes,
                                              const Now& now) noexcept {
  const Verdict<EthernetHeader> header = parse_ethernet_header(head);
  // A loop probe is no station's frame.
  if (!header || header->type == loop_probe_type || is_too_large(*header, head)) return {};
  const auto decision = switching_->ethernet.decide({}, *header, now.time);
  if (!decision || decision->is_flood) return {};
  Peer& peer = *peers_.find(decision->to.peer());
  const Session* session = peer.sessions.current();
  if (!peer.path || !session || !session->can_seal(now.time, count) || !peer.agreement.fits(mode_)) return {};
  if (envelope_header_size + head.size() > path_max(peer)) return {};
  std::optional<Sealing> sealing(begin_sealing(peer, run_of(head, count, bytes), now));
  schedule(peer, now.time);
  return sealing;
}

void Engine::on_ethernet_frame(ByteView frame, const Now& now, DatagramSink& out) noexcept {
  const Verdict<EthernetHeader> header = parse_ethernet_header(frame);
  if (!header) return count_drop(header.error());
  if (is_too_large(*header, frame)) return count_drop(DropReason::FrameTooLarge);
  const auto seal = [&](Sealing& sealing) { return sealing.seal(frame, out); };
  if (const WireLoopProbe* probe = LoopGuard::read(frame)) {
    // Hops are counted where a probe comes from a peer, which it does on every way round.
    if (may_pass_on(*probe, {}, now, out)) flood({}, frame, seal, now, out);
    return;
  }
  const auto decision = switching_->ethernet.decide({}, *header, now.time);
  if (!decision) return count_drop(decision.error());
  if (decision->is_flood) {
    probe_for_loops(now, out);
    flood({}, frame, seal, now, out);
  } else {
    deliver(*peers_.find(decision->to.peer()), frame, seal, now, out);
  }
}

ByteSpan Engine::accept_ethernet(Peer& peer, ByteSpan frame, std::uint8_t traffic_class, const Now& now,
                                 DatagramSink& out) noexcept {
  const auto drop = [this](DropReason reason) {
    count_drop(reason);
    return ByteSpan();
  };
  if (!switching_) return drop(DropReason::ModeMismatch);
  peer.timers.data_received(now.time);
  const Verdict<EthernetHeader> header = parse_ethernet_header(frame);
  if (!header) return drop(header.error());
  if (is_too_large(*header, frame)) return drop(DropReason::FrameTooLarge);
  // The envelope lies in front of the frame, and behind it what was its tag.
  const auto seal = [&](Sealing& sealing) { return sealing.seal_with_room(frame, out); };
  if (const WireLoopProbe* probe = LoopGuard::read(frame)) {
    if (!may_pass_on(*probe, peer.id, now, out)) return {};
    frame[offsetof(WireLoopProbe, hops)] = static_cast<std::byte>(std::to_integer<unsigned>(probe->hops) + 1);
    flood(peer.id, frame, seal, now, out);
    return frame;
  }
  if (switching_->is_restricted[peer.id.value()]) {
    if (const auto allowed = check_source(peer.id, *header, frame); !allowed) return drop(allowed.error());
  }
  const ByteSpan payload = frame.subspan(header->length);
  if (is_ip(*header) && parse_ip_header(payload)) {
    if (const auto merged = decapsulate_ecn(traffic_class, payload); !merged) return drop(merged.error());
  }
  const auto decision = switching_->ethernet.decide(peer.id, *header, now.time);
  if (!decision) {
    const DropReason reason = decision.error();
    // Signs of a loop as much as what is flooded, or of its end.
    const bool is_sign =
        reason == DropReason::FloodLimit || reason == DropReason::LocalAddress || reason == DropReason::PortBlocked;
    if (is_sign) probe_for_loops(now, out);
    return drop(reason);
  }
  if (decision->is_flood) {
    probe_for_loops(now, out);
    flood(peer.id, frame, seal, now, out);
    return frame;
  }
  if (decision->to.is_local()) return frame;
  deliver(*peers_.find(decision->to.peer()), frame, seal, now, out);
  return {};
}

Verdict<void> Engine::check_source(PeerId peer, const EthernetHeader& header, ByteView frame) const noexcept {
  // Some stations take off any number of tags, and would see what was not looked at.
  if (ethertype::is_tag(header.type)) return DropReason::SourceNotAllowed;
  const auto source = claimed_address(header, frame);
  if (!source) return source.error();
  if (!*source || may_have_anyone(**source) || prefixes_.find(**source) == peer) return {};
  return DropReason::SourceNotAllowed;
}

template <class Seal>
void Engine::deliver(Peer& peer, ByteView frame, const Seal& seal, const Now& now, DatagramSink& out) noexcept {
  if (!peer.path) return count_drop(DropReason::NoEndpoint);
  const Session* session = peer.sessions.current();
  const bool has_session = session && session->can_seal(now.time);
  if (has_session && peer.agreement.fits(mode_)) {
    if (envelope_header_size + frame.size() > path_max(peer)) {
      send_large_frame(peer, frame, now, out);
      return schedule(peer, now.time);
    }
    Sealing sealing = begin_sealing(peer, run_of(frame, 1, frame.size()), now);
    if (!seal(sealing)) count_drop(DropReason::BatchFull);
    if (sealing.needs_rekey()) send_initiation(peer, false, now, out);
    return schedule(peer, now.time);
  }
  if (has_session && !peer.agreement.is_open()) return count_drop(DropReason::ModeMismatch);
  drops_.count(DropReason::StagedOverflow, staged_.push(peer.staged, frame));
  if (!has_session) send_initiation(peer, false, now, out);
}

template <class Seal>
void Engine::flood(SwitchPort from, ByteView frame, const Seal& seal, const Now& now, DatagramSink& out) noexcept {
  bool goes_somewhere = !from.is_local();
  peers_.for_each([&](Peer& peer) {
    // Who was never heard of and has no Endpoint is on nobody's LAN yet.
    if (!peer.path || !switching_->ethernet.floods(from, peer.id)) return;
    goes_somewhere = true;
    deliver(peer, frame, seal, now, out);
  });
  if (!goes_somewhere) count_drop(DropReason::NoPeer);
}

void Engine::probe_for_loops(const Now& now, DatagramSink& out) noexcept {
  if (!switching_->loops.take_due(now.time)) return;
  attend_loops(now);
  peers_.for_each([&](Peer& peer) {
    const Session* session = peer.sessions.current();
    if (!peer.path || !session || !session->can_seal(now.time) || !peer.agreement.fits(mode_)) return;
    const WireLoopProbe probe = switching_->loops.probe_for(peer.id);
    Run run = run_of(bytes_of(probe), 1, sizeof probe);
    run.is_data = false;  // Nobody answers it.
    Sealing sealing = begin_sealing(peer, run, now);
    if (!sealing.seal(bytes_of(probe), out)) count_drop(DropReason::BatchFull);
    schedule(peer, now.time);
  });
}

bool Engine::may_pass_on(const WireLoopProbe& probe, SwitchPort from, const Now& now, DatagramSink& out) noexcept {
  LoopGuard& loops = switching_->loops;
  if (loops.arrived(probe, from, now.time) == LoopGuard::Origin::Own) {
    if (const auto deadline = loops.deadline()) {
      deadlines_.wake_by(deadline->port, deadline->time);
      probe_for_loops(now, out);
    }
    return false;
  }
  if (const auto refused = switching_->ethernet.admit_probe(from, now.time); !refused) {
    count_drop(refused.error());
    return false;
  }
  if (std::to_integer<unsigned>(probe.hops) >= limits::loop_probe_hops_max) {
    count_drop(DropReason::FloodLimit);
    return false;
  }
  probe_for_loops(now, out);
  return true;
}

void Engine::attend_loops(const Now& now) noexcept {
  if (!switching_) return;
  LoopGuard& loops = switching_->loops;
  while (const auto change = loops.take_change(now.time)) {
    switching_->ethernet.set_blocked(change->port, change->is_blocked);
    events_.push({change->is_blocked ? EventKind::LoopBlocked : EventKind::LoopEnded, change->port});
    // Who came from the local side by the way that is gone comes from the peer now, which the table would not believe.
    if (!change->is_blocked) switching_->ethernet.forget_stations();
  }
  if (loops.take_doubt(now.time)) switching_->ethernet.forget_stations();
  if (const auto deadline = loops.deadline()) deadlines_.wake_by(deadline->port, deadline->time);
}

}  // namespace culvert
