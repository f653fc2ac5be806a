// Saying hello, and hearing it.
#include "culvert/engine/agreement.hpp"

#include "culvert/engine/engine.hpp"
#include "culvert/protocol/envelope.hpp"

namespace culvert {

void Agreement::session_began(bool is_initiator, Timestamp now) noexcept {
  has_heard_ = false;
  sent_ = 0;
  answered_ = 0;
  due_ = is_initiator ? now : now + limits::hello_interval;
}

Agreement::Due Agreement::take_due(Timestamp now) noexcept {
  if (!due_ || *due_ > now) return Due::Nothing;
  if (sent_ < (nature_ == PeerNature::Stock ? 1u : limits::hellos_max)) {
    ++sent_;
    due_ = now + limits::hello_interval;
    return Due::Hello;
  }
  due_.reset();
  // Lost packets alone do not make a peer forgotten that was heard before.
  if (silent_sessions_ < limits::silent_sessions_max) ++silent_sessions_;
  if (!said_ || silent_sessions_ == limits::silent_sessions_max) {
    said_.reset();
    nature_ = PeerNature::Stock;
  }
  return Due::Silence;
}

Agreement::Heard Agreement::heard(const HelloMessage& hello) noexcept {
  Heard result;
  result.is_first = !has_heard_;
  result.wants_answer = !hello.answers && answered_ < limits::hello_answers_max;
  if (result.wants_answer) ++answered_;
  has_heard_ = true;
  silent_sessions_ = 0;
  due_.reset();
  said_ = hello;
  nature_ = PeerNature::Culvert;
  return result;
}

void Engine::attend_agreement(Peer& peer, const Now& now, DatagramSink& out) noexcept {
  switch (peer.agreement.take_due(now.time)) {
    case Agreement::Due::Nothing:
      break;
    case Agreement::Due::Hello:
      send_hello(peer, now, out);
      break;
    case Agreement::Due::Silence:
      follow_path(peer);
      if (!peer.agreement.fits(mode_)) events_.push({EventKind::ModeMismatch, peer.id});
      send_staged(peer, now, out);
      break;
  }
}

void Engine::send_hello(Peer& peer, const Now& now, DatagramSink& out) noexcept {
  Session* const session = peer.sessions.current();
  if (!session) return;
  HelloMessage hello;
  hello.answers = peer.agreement.has_heard();
  hello.mode = mode_;
  hello.suites = session->suites();
  hello.features = features_;
  if (send_control(peer, build_hello(hello), now, out)) session->offered();
}

bool Engine::send_control(Peer& peer, ByteView envelope, const Now& now, DatagramSink& out) noexcept {
  // Nothing is begun for its sake: without a session there is nobody to tell.
  const Session* session = peer.sessions.current();
  if (!peer.path || !session || !session->can_seal(now.time)) return false;
  Sealing sealing = begin_sealing(peer, Run{envelope.size(), 1, envelope.size(), 0, false}, now);
  const bool is_sealed = sealing.seal(envelope, out);
  if (!is_sealed) count_drop(DropReason::BatchFull);
  return is_sealed;
}

ByteSpan Engine::accept_envelope(Peer& peer, const Session& session, ByteSpan plaintext, std::uint8_t traffic_class,
                                 const Now& now, DatagramSink& out) noexcept {
  const Verdict<Envelope> envelope = parse_envelope(plaintext);
  if (!envelope) {
    count_drop(envelope.error());
    return {};
  }
  switch (envelope->kind) {
    case EnvelopeKind::Hello:
      accept_hello(peer, session, envelope->body, now, out);
      return {};
    case EnvelopeKind::Ethernet:
      return accept_ethernet(peer, envelope->body, traffic_class, now, out);
    case EnvelopeKind::Fragment: {
      const ByteSpan frame = accept_fragment(peer, envelope->body, traffic_class, now);
      if (frame.empty()) return {};
      if (switching_) return accept_ethernet(peer, frame, traffic_class, now, out);
      return accept_packet(peer, frame, traffic_class);
    }
    case EnvelopeKind::Probe:
      accept_probe(peer, envelope->body, now, out);
      return {};
    case EnvelopeKind::ProbeAck:
      accept_probe_ack(peer, envelope->body, now);
      return {};
    case EnvelopeKind::BenchRequest:
      accept_bench_request(peer, envelope->body, now);
      return {};
    case EnvelopeKind::BenchAnswer:
      accept_bench_answer(peer, envelope->body);
      return {};
  }
  count_drop(DropReason::UnknownEnvelope);
  return {};
}

void Engine::accept_hello(Peer& peer, const Session& session, ByteView body, const Now& now,
                          DatagramSink& out) noexcept {
  const Verdict<HelloMessage> hello = parse_hello(body);
  if (!hello) return count_drop(hello.error());
  // One that was under way while the session was replaced: in the new one its sender says hello again.
  Session* const current = peer.sessions.current();
  if (&session != current) return;
  const Agreement::Heard heard = peer.agreement.heard(*hello);
  follow_path(peer);
  if (heard.is_first) {
    events_.push({peer.agreement.fits(mode_) ? EventKind::Agreed : EventKind::ModeMismatch, peer.id});
  }
  if (heard.wants_answer) send_hello(peer, now, out);
  current->agree(hello->suites);
  send_staged(peer, now, out);
}

}  // namespace culvert
