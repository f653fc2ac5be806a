// Frames and the path's MTU: what is probed, refused, and sent in pieces.
#include "culvert/protocol/path_mtu.hpp"

#include <algorithm>

#include "culvert/engine/engine.hpp"
#include "culvert/forwarding/ip_header.hpp"

namespace culvert {
namespace {

/// Every IPv6 host may send packets of this size whatever it is told (RFC 8200, section 5).
constexpr std::size_t v6_packet_min = 1280;

bool is_v6(ByteView packet) noexcept {
  return std::to_integer<unsigned>(packet[0]) >> 4 == 6;
}

}  // namespace

void Engine::follow_path(Peer& peer) noexcept {
  const auto& said = peer.agreement.said();
  const bool probes = features_.has(Feature::PathMtuProbes) && said && said->features.has(Feature::PathMtuProbes);
  if (!probes || !peer.path) return peer.path_mtu.stop();
  const std::size_t headers = outer_headers_of(peer.path->remote.address.family());
  const std::size_t route = std::max(peer.route_mtu, limits::base_path_mtu) - headers;
  if (!peer.path_mtu.is_on()) events_.push({EventKind::RouteWanted, peer.id});
  peer.path_mtu.start(limits::base_path_mtu - headers, std::min<std::size_t>(route, said->largest_datagram));
}

void Engine::begin_path(Peer& peer) noexcept {
  peer.path_mtu.stop();
  follow_path(peer);
}

void Engine::set_route_mtu(PeerId id, std::size_t mtu, const Now& now) noexcept {
  Peer* peer = peers_.find(id);
  if (!peer || peer->route_mtu == mtu) return;
  peer->route_mtu = mtu;
  if (!peer->path_mtu.is_on()) return;
  follow_path(*peer);
  schedule(*peer, now.time);
}

void Engine::attend_path(Peer& peer, const Now& now, DatagramSink& out) noexcept {
  while (const auto probe = peer.path_mtu.expire(now.time)) {
    const Session* session = peer.sessions.current();
    if (!peer.path || !session || !session->can_seal(now.time)) continue;
    const std::size_t size = probe->size - limits::data_overhead;
    Sealing sealing = begin_sealing(peer, {size, 1, size, 0, false}, now);
    if (!sealing.seal_probe(*probe, out)) count_drop(DropReason::BatchFull);
  }
  if (peer.path_mtu.take_route_question()) events_.push({EventKind::RouteWanted, peer.id});
}

std::size_t Engine::largest_frame(ByteView head, const Now& now) noexcept {
  constexpr auto any = ~std::size_t{0};
  if (switching_) {
    const Verdict<EthernetHeader> header = parse_ethernet_header(head);
    if (!header) return any;
    const auto decision = switching_->ethernet.decide({}, *header, now.time);
    if (!decision || decision->is_flood) return any;
    return path_max(*peers_.find(decision->to.peer())) - envelope_header_size;
  }
  const Verdict<IpHeader> header = parse_ip_header(head);
  if (!header) return any;
  const auto id = prefixes_.find(header->destination);
  return id ? path_max(*peers_.find(*id)) : any;
}

void Engine::send_large_frame(Peer& peer, ByteView frame, const Now& now, DatagramSink& out) noexcept {
  if (!switching_ && refuse_large_packet(peer, frame, now)) return;
  const bool takes_pieces = peer.agreement.said() && peer.agreement.said()->features.has(Feature::Fragments);
  const auto plan = FragmentPlan::of(frame.size(), path_max(peer));
  Run run = run_of(frame, 1, frame.size());
  // Left to IP, as for a stock peer.
  if (!takes_pieces || !plan) return send_whole_frame(peer, frame, run, now, out);

  if (!peer.sessions.current()->can_seal(now.time, plan->count())) return count_drop(DropReason::CounterExhausted);
  run = {plan->size(0) + fragment_overhead, plan->count(), frame.size() + plan->count() * fragment_overhead,
         run.traffic_class, true};
  Sealing sealing = begin_sealing(peer, run, now);
  const std::uint32_t number = peer.next_frame_in_pieces++;
  bool is_whole = true;
  for (std::size_t i = 0; i < plan->count(); ++i) {
    const ByteView piece = frame.subspan(plan->offset(i), plan->size(i));
    is_whole &= sealing.seal_piece(number, plan->offset(i), frame.size(), piece, out);
  }
  if (!is_whole) count_drop(DropReason::BatchFull);
  if (sealing.needs_rekey()) send_initiation(peer, false, now, out);
}

bool Engine::refuse_large_packet(Peer& peer, ByteView packet, const Now& now) noexcept {
  // What is told is remembered for minutes: only what was found out in the end is told.
  if (peer.path_mtu.state() != PathMtu::State::Found) return false;
  const Verdict<IpHeader> header = parse_ip_header(packet);
  if (!header || !must_not_be_fragmented(packet)) return false;
  std::size_t mtu = path_max(peer);
  if (is_v6(packet)) {
    // Its sender may ignore a smaller size (RFC 2473, section 7.1).
    if (packet.size() <= v6_packet_min) return false;
    mtu = std::max(mtu, v6_packet_min);
  }
  count_drop(DropReason::PacketTooBig);
  if (errors_.allow(now.time)) answer_ = build_packet_too_big(packet.first(header->length), mtu, answer_memory_);
  return true;
}

void Engine::accept_probe(Peer& peer, ByteView body, const Now& now, DatagramSink& out) noexcept {
  if (!features_.has(Feature::PathMtuProbes)) return count_drop(DropReason::UnknownEnvelope);
  const auto id = parse_probe(body);
  if (!id) return count_drop(DropReason::BadProbe);
  if (!peer.probe_acks.allow(now.time)) return count_drop(DropReason::ProbeFlood);
  ProbeAck ack;
  ack.id = *id;
  ack.size = static_cast<std::uint16_t>(limits::data_overhead + envelope_header_size + body.size());
  send_control(peer, build_probe_ack(ack), now, out);
}

void Engine::accept_probe_ack(Peer& peer, ByteView body, const Now& now) noexcept {
  const auto ack = parse_probe_ack(body);
  if (!ack || !peer.path_mtu.acknowledged(ack->id, ack->size, now.time)) count_drop(DropReason::BadProbe);
}

ByteSpan Engine::accept_fragment(Peer& peer, ByteView body, std::uint8_t& traffic_class, const Now& now) noexcept {
  if (!features_.has(Feature::Fragments) || !peer.agreement.fits(mode_)) {
    count_drop(features_.has(Feature::Fragments) ? DropReason::ModeMismatch : DropReason::UnknownEnvelope);
    return {};
  }
  peer.timers.data_received(now.time);
  Verdict<Fragment> fragment = parse_fragment(body);
  if (!fragment) {
    count_drop(fragment.error());
    return {};
  }
  fragment->is_congested = ecn_of(traffic_class) == Ecn::Ce;
  const Reassembler::Outcome outcome = reassembler_.add(peer.reassembly, *fragment, now.time);
  drops_.count(DropReason::FragmentExpired, outcome.given_up);
  if (outcome.refused) count_drop(*outcome.refused);
  if (outcome.is_congested) traffic_class |= static_cast<std::uint8_t>(Ecn::Ce);
  return outcome.frame;
}

bool Sealing::seal_piece(std::uint32_t frame, std::size_t offset, std::size_t total, ByteView piece,
                         DatagramSink& out) noexcept {
  const std::size_t size = fragment_overhead + piece.size();
  const std::size_t padding = Session::padding_of(size, mtu_);
  const ByteSpan datagram = out.reserve(path_, traffic_class_, Session::sealed_size(size, mtu_));
  const std::uint64_t counter = counter_++;
  if (datagram.empty()) return false;
  const ByteSpan plaintext = datagram.subspan(sizeof(MessageDataHeader), size + padding);
  write_envelope_header(plaintext.data(), EnvelopeKind::Fragment, padding);
  write_fragment_header(&plaintext[envelope_header_size], frame, offset, total);
  copy_bytes(piece, plaintext.subspan(fragment_overhead));
  std::ranges::fill(plaintext.last(padding), std::byte{0});
  session_->seal_with(suite_, counter, plaintext, datagram);
  out.commit();
  return true;
}

bool Sealing::seal_probe(const PathMtu::Probe& probe, DatagramSink& out) noexcept {
  const ByteSpan datagram = out.reserve_probe(path_, traffic_class_, probe.size);
  const std::uint64_t counter = counter_++;
  if (datagram.empty()) return false;
  const ByteSpan plaintext = datagram.subspan(sizeof(MessageDataHeader), probe.size - limits::data_overhead);
  write_probe(plaintext, probe.id);
  session_->seal_with(suite_, counter, plaintext, datagram);
  out.commit();
  return true;
}

}  // namespace culvert
