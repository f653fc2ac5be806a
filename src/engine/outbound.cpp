// From frame to datagram, and everything else that leaves.
#include <algorithm>

#include "culvert/engine/engine.hpp"
#include "culvert/forwarding/ip_header.hpp"
#include "culvert/protocol/envelope.hpp"

namespace culvert {
namespace {

/// RFC 6040 section 4.1, normal mode: the congestion field is copied; the rest of the traffic class stays inside.
std::uint8_t outer_traffic_class(ByteView packet) noexcept {
  if (packet.size() < 2) return 0;
  const auto first = std::to_integer<unsigned>(packet[0]);
  const auto second = std::to_integer<unsigned>(packet[1]);
  return static_cast<std::uint8_t>((first >> 4) == 4 ? second & 3 : (second >> 4) & 3);
}

}  // namespace

void Engine::on_frame(ByteView frame, const Now& now, DatagramSink& out) noexcept {
  if (switching_) return on_ethernet_frame(frame, now, out);
  const Verdict<IpHeader> header = parse_ip_header(frame);
  if (!header) return count_drop(header.error());
  if (frame.size() + limits::data_overhead + limits::padding_multiple > limits::datagram_size_max) {
    return count_drop(DropReason::FrameTooLarge);
  }
  const auto id = prefixes_.find(header->destination);
  if (!id) return count_drop(DropReason::NoPeer);
  Peer& peer = *peers_.find(*id);
  if (!peer.path) return count_drop(DropReason::NoEndpoint);

  const Session* session = peer.sessions.current();
  const bool has_session = session && session->can_seal(now.time);
  if (has_session && peer.agreement.fits(mode_)) {
    send_frame(peer, frame, now, out);
    return schedule(peer, now.time);
  }
  if (has_session && !peer.agreement.is_open()) return count_drop(DropReason::ModeMismatch);
  drops_.count(DropReason::StagedOverflow, staged_.push(peer.staged, frame));
  if (!has_session) send_initiation(peer, false, now, out);
}

std::optional<Sealing> Engine::admit(ByteView head, std::size_t count, std::size_t bytes, const Now& now) noexcept {
  if (switching_) return admit_ethernet(head, count, bytes, now);
  const Verdict<IpHeader> header = parse_ip_header(head);
  if (!header || head.size() + limits::data_overhead + limits::padding_multiple > limits::datagram_size_max) return {};
  const auto id = prefixes_.find(header->destination);
  if (!id) return {};
  Peer& peer = *peers_.find(*id);
  const Session* session = peer.sessions.current();
  if (!peer.path || !session || !session->can_seal(now.time, count) || !peer.agreement.fits(mode_)) return {};
  if (head.size() > path_max(peer)) return {};
  std::optional<Sealing> sealing(begin_sealing(peer, run_of(head, count, bytes), now));
  schedule(peer, now.time);
  return sealing;
}

void Engine::renew(PeerId id, const Now& now, DatagramSink& out) noexcept {
  if (Peer* peer = peers_.find(id)) send_initiation(*peer, false, now, out);
}

Engine::Run Engine::run_of(ByteView head, std::size_t count, std::size_t bytes) const noexcept {
  if (head.empty() || !switching_) return {head.size(), count, bytes, outer_traffic_class(head), !head.empty()};
  const Verdict<EthernetHeader> header = parse_ethernet_header(head);
  const bool is_ip = header && (header->type == ethertype::ipv4 || header->type == ethertype::ipv6);
  const std::uint8_t traffic_class = is_ip ? outer_traffic_class(head.subspan(header->length)) : std::uint8_t{0};
  return {head.size() + envelope_header_size, count, bytes + count * envelope_header_size, traffic_class, true, true};
}

Sealing Engine::begin_sealing(Peer& peer, const Run& run, const Now& now) noexcept {
  const std::shared_ptr<Session>& session = peer.sessions.share_current();
  const std::uint64_t counter = session->claim_counters(run.count);
  const std::size_t last = run.bytes - (run.count - 1) * run.size;
  const std::size_t max = std::min(plaintext_max(), path_max(peer));
  peer.sent_bytes += (run.count - 1) * Session::sealed_size(run.size, max) + Session::sealed_size(last, max);
  peer.timers.any_authenticated_packet_sent();
  peer.timers.any_authenticated_packet_traversal(now.time);
  if (run.is_data) {
    peer.timers.data_sent(now.time, jitter());
    peer.path_mtu.data_sent(Session::sealed_size(run.size, max), now.time);
  }
  return {peer.id,        session, counter, *peer.path, run.traffic_class, max, session->needs_rekey_on_send(now.time),
          run.is_ethernet};
}

void Engine::send_frame(Peer& peer, ByteView frame, const Now& now, DatagramSink& out) noexcept {
  const Run run = run_of(frame, 1, frame.size());
  if (run.size > path_max(peer)) return send_large_frame(peer, frame, now, out);
  send_whole_frame(peer, frame, run, now, out);
}

void Engine::send_whole_frame(Peer& peer, ByteView frame, const Run& run, const Now& now, DatagramSink& out) noexcept {
  Sealing sealing = begin_sealing(peer, run, now);
  if (!sealing.seal(frame, out)) count_drop(DropReason::BatchFull);
  if (sealing.needs_rekey()) send_initiation(peer, false, now, out);
}

void Engine::send_staged(Peer& peer, const Now& now, DatagramSink& out) noexcept {
  if (!peer.agreement.fits(mode_)) {
    if (!peer.agreement.is_open()) drops_.count(DropReason::ModeMismatch, staged_.clear(peer.staged));
    return;
  }
  while (!peer.staged.empty()) {
    Session* session = peer.sessions.current();
    if (!session || !session->can_seal(now.time)) return send_initiation(peer, false, now, out);
    send_frame(peer, staged_.front(peer.staged), now, out);
    staged_.pop(peer.staged);
  }
}

void Engine::send_keepalive(Peer& peer, const Now& now, DatagramSink& out) noexcept {
  if (!peer.path) return;
  Session* session = peer.sessions.current();
  if (!session || !session->can_seal(now.time)) return send_initiation(peer, false, now, out);
  if (peer.staged.empty() || !peer.agreement.fits(mode_)) {
    send_frame(peer, {}, now, out);
  } else {
    send_staged(peer, now, out);
  }
}

void Engine::send_initiation(Peer& peer, bool is_retry, const Now& now, DatagramSink& out) noexcept {
  if (!is_retry) peer.timers.attempts_reset();
  if (!identity() || !peer.path) return;
  if (peer.last_handshake_sent && now.time - *peer.last_handshake_sent < limits::rekey_timeout) {
    // A response of ours may be what is in the way, and may be lost. Whoever still waits is served when it is time.
    if (is_retry || !peer.staged.empty()) {
      peer.timers.handshake_initiated(*peer.last_handshake_sent, jitter());
      schedule(peer, now.time);
    }
    return;
  }
  peer.last_handshake_sent = now.time;

  wipe_handshake(peer);
  const SessionIndex index = peers_.claim_index(peer.id, random_);
  MessageInitiation message;
  if (!peer.handshake.create_initiation(message, index, timestamps_.next(now.wall), random_)) {
    return peers_.release_index(index);
  }
  const ByteSpan bytes = std::as_writable_bytes(std::span(&message, 1));
  peer.cookies.add_macs(bytes, now.time);
  const Path path = peer.candidate ? Path{*peer.candidate, std::nullopt, 0} : *peer.path;
  peer.candidate.reset();
  send_handshake_message(peer, path, bytes, now, out);
  events_.push({EventKind::InitiationSent, peer.id});
  peer.timers.handshake_initiated(now.time, jitter());
  schedule(peer, now.time);
}

void Engine::send_response(Peer& peer, const Now& now, DatagramSink& out) noexcept {
  peer.last_handshake_sent = now.time;
  const SessionIndex index = peers_.claim_index(peer.id, random_);
  MessageResponse message;
  if (!peer.answer.create_response(message, index, random_)) {
    peers_.release_index(index);
    peer.answer.clear();
    return count_drop(DropReason::HandshakeAuthentication);
  }
  std::unique_ptr<Session> session = peer.answer.derive_session(now.time, cipher_.suite(), second_suite_);
  release(peer.sessions.add_as_responder(std::move(session)));
  peer.timers.session_derived(now.time);
  const ByteSpan bytes = std::as_writable_bytes(std::span(&message, 1));
  peer.cookies.add_macs(bytes, now.time);
  send_handshake_message(peer, *peer.path, bytes, now, out);
}

bool Engine::send_handshake_message(Peer& peer, const Path& path, ByteSpan message, const Now& now,
                                    DatagramSink& out) noexcept {
  const ByteSpan datagram = out.reserve(path, limits::handshake_traffic_class, message.size());
  if (datagram.empty()) {
    count_drop(DropReason::BatchFull);
    return false;
  }
  copy_bytes(message, datagram);
  out.commit();
  peer.sent_bytes += message.size();
  peer.timers.any_authenticated_packet_sent();
  peer.timers.any_authenticated_packet_traversal(now.time);
  return true;
}

}  // namespace culvert
