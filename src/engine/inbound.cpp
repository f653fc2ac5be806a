// From datagram to frame, and everything else that arrives.
#include "culvert/engine/engine.hpp"
#include "culvert/forwarding/ip_header.hpp"
#include "culvert/protocol/envelope.hpp"

namespace culvert {

bool Engine::admit_handshake(const Path& from, ByteView message, SessionIndex sender, const Now& now,
                             DatagramSink& out) noexcept {
  if (!cookies_ || !cookies_->has_valid_mac1(message)) {
    count_drop(DropReason::InvalidMac1);
    return false;
  }
  const Endpoint& source = from.remote;
  if (!load_.is_under_load(source.address, now.time)) return true;
  if (!cookies_->has_valid_mac2(message, source, now.time)) {
    const ByteSpan datagram = out.reserve(from, limits::handshake_traffic_class, sizeof(MessageCookieReply));
    if (!datagram.empty()) {
      MessageCookieReply reply;
      cookies_->create_reply(reply, message, sender, source, now.time, random_);
      copy_bytes(bytes_of(reply), datagram);
      out.commit();
    }
    count_drop(DropReason::UnderLoad);
    return false;
  }
  if (!rate_limiter_.allow(source.address, now.time)) {
    count_drop(DropReason::RateLimited);
    return false;
  }
  return true;
}

void Engine::on_initiation(const Path& from, const MessageInitiation& message, const Now& now,
                           DatagramSink& out) noexcept {
  if (!admit_handshake(from, bytes_of(message), SessionIndex(message.sender), now, out)) return;
  Verdict<OpenedInitiation> opened = open_initiation(*identity_, message);
  if (!opened) return count_drop(opened.error());
  Peer* peer = peers_.find(opened->initiator);
  if (!peer) return count_drop(DropReason::UnknownPeer);
  const Verdict<void> consumed = peer->answer.consume_initiation(std::move(*opened), now.time);
  if (!consumed) return count_drop(consumed.error());
  // When initiations cross, one side gives its own up. If both did, as in noise.c, no response would find anybody
  // waiting, over and over where the way is longer than the jitter of retries (W-17).
  if (identity_->public_key < peer->public_key()) wipe_handshake(*peer);

  // Asked again, our last response did not arrive. What keeps it may be the address it left from, which no longer fits
  // the link that routing chooses. So every second one leaves from any.
  peer->has_answered_from_any_address = peer->sessions.next() && !peer->has_answered_from_any_address;
  authenticated_packet_received(*peer, from, sizeof message, now);
  if (peer->has_answered_from_any_address) peer->path->local.reset();
  send_response(*peer, now, out);
  schedule(*peer, now.time);
}

void Engine::on_response(const Path& from, const MessageResponse& message, const Now& now, DatagramSink& out) noexcept {
  if (!admit_handshake(from, bytes_of(message), SessionIndex(message.sender), now, out)) return;
  Peer* peer = peers_.find(SessionIndex(message.receiver));
  if (!peer) return count_drop(DropReason::UnexpectedResponse);
  const Verdict<void> consumed = peer->handshake.consume_response(message);
  if (!consumed) return count_drop(consumed.error());

  release(peer->sessions.add_as_initiator(peer->handshake.derive_session(now.time, cipher_.suite(), second_suite_)));
  peer->timers.session_derived(now.time);
  authenticated_packet_received(*peer, from, sizeof message, now);
  session_confirmed(*peer, now);
  peer->agreement.session_began(true, now.time);
  // Either what waited goes now, or an empty message does: the responder may not send before it hears from us.
  send_keepalive(*peer, now, out);
  attend_agreement(*peer, now, out);
  schedule(*peer, now.time);
}

void Engine::on_cookie_reply(const MessageCookieReply& message, const Now& now) noexcept {
  Peer* peer = peers_.find(SessionIndex(message.receiver));
  if (!peer) return count_drop(DropReason::UnexpectedResponse);
  const Verdict<void> consumed = peer->cookies.consume_reply(message, now.time);
  if (!consumed) return count_drop(consumed.error());
}

void Engine::on_data(const Path& from, std::uint8_t traffic_class, const MessageData& message, const Now& now,
                     FrameSink& frames, DatagramSink& out) noexcept {
  const Peer* peer = peers_.find(message.receiver);
  if (!peer) return count_drop(DropReason::UnknownIndex);
  const std::shared_ptr<Session>& session = peer->sessions.share(message.receiver);
  if (!session) return count_drop(DropReason::UnknownIndex);
  const Verdict<ByteSpan> opened = session->decrypt(message, now.time);
  const ByteSpan frame = accept(*session, message, opened, from, traffic_class, now, out);
  if (!frame.empty()) frames.put(frame);
}

std::shared_ptr<Session> Engine::find_session(SessionIndex receiver) noexcept {
  const Peer* peer = peers_.find(receiver);
  return peer ? peer->sessions.share(receiver) : nullptr;
}

ByteSpan Engine::accept(const Session& opener, const MessageData& message, const Verdict<ByteSpan>& opened,
                        const Path& from, std::uint8_t traffic_class, const Now& now, DatagramSink& out) noexcept {
  const auto drop = [this](DropReason reason) {
    count_drop(reason);
    return ByteSpan();
  };
  if (!is_up_) return drop(DropReason::LinkDown);
  // Gone or replaced meanwhile, perhaps with its peer.
  Peer* peer = peers_.find(message.receiver);
  Session* session = peer ? peer->sessions.find(message.receiver) : nullptr;
  if (session != &opener) return drop(DropReason::UnknownIndex);
  const bool is_expected = session->expects(message.suite);
  if (!opened || !is_expected) {
    const DropReason reason = is_expected ? opened.error() : DropReason::CipherMismatch;
    // Anybody can make such a message: it is believed where nothing speaks against it.
    if (reason == DropReason::CipherMismatch && !session->has_opened()) {
      events_.push_once({EventKind::CipherMismatch, peer->id});
    }
    return drop(reason);
  }
  if (!session->accepts(message.counter)) return drop(DropReason::Replay);

  authenticated_packet_received(*peer, from, sizeof(MessageDataHeader) + message.sealed.size(), now);
  bool confirmed = false;
  release(peer->sessions.received_with(*session, confirmed));
  if (confirmed) {
    session_confirmed(*peer, now);
    peer->agreement.session_began(false, now.time);
    send_staged(*peer, now, out);
  }
  Session* current = peer->sessions.current();
  if (current && current->needs_rekey_on_receive(now.time)) send_initiation(*peer, false, now, out);

  ByteSpan frame;
  const ByteSpan plaintext = *opened;
  if (is_envelope(plaintext)) {
    frame = accept_envelope(*peer, *session, plaintext, traffic_class, now, out);
  } else if (!plaintext.empty()) {
    peer->timers.data_received(now.time);
    frame = accept_packet(*peer, plaintext, traffic_class);
  }
  schedule(*peer, now.time);
  return frame;
}

ByteSpan Engine::accept_packet(const Peer& peer, ByteSpan plaintext, std::uint8_t traffic_class) noexcept {
  const auto drop = [this](DropReason reason) {
    count_drop(reason);
    return ByteSpan();
  };
  if (mode_ != DeviceMode::Routed) return drop(DropReason::ModeMismatch);
  const Verdict<IpHeader> header = parse_ip_header(plaintext);
  if (!header) return drop(header.error());
  if (prefixes_.find(header->source) != peer.id) return drop(DropReason::SourceNotAllowed);
  if (const auto merged = decapsulate_ecn(traffic_class, plaintext); !merged) return drop(merged.error());
  return plaintext.first(header->length);
}

void Engine::authenticated_packet_received(Peer& peer, const Path& from, std::size_t bytes, const Now& now) noexcept {
  bool is_elsewhere = false;
  if (peer.path != from) {
    if (!peer.path || peer.path->remote != from.remote) {
      events_.push({EventKind::EndpointMoved, peer.id});
      peer.candidate.reset();
      is_elsewhere = true;
    }
    peer.path = from;
    if (peer.source_is_free_until) {
      if (now.time < *peer.source_is_free_until) {
        peer.path->local.reset();
      } else {
        peer.source_is_free_until.reset();
      }
    }
  }
  if (is_elsewhere) begin_path(peer);
  peer.received_bytes += bytes;
  peer.timers.any_authenticated_packet_received();
  peer.timers.any_authenticated_packet_traversal(now.time);
}

void Engine::session_confirmed(Peer& peer, const Now& now) noexcept {
  peer.timers.handshake_complete();
  peer.candidate.reset();
  peer.last_handshake = now.wall;
  events_.push({EventKind::SessionEstablished, peer.id});
}

}  // namespace culvert
