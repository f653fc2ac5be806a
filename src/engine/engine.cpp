// The engine's settings, deadlines and dispatch.
#include "culvert/engine/engine.hpp"

#include <variant>

namespace culvert {

namespace {

// Longer than a round trip: after it the peer speaks to the new address.
constexpr auto source_free_time = std::chrono::seconds(1);

Mac random_mac(Random& random) noexcept {
  Mac mac;
  random.fill(mac);
  return mac;
}

}  // namespace

Engine::Engine(Random& random, std::size_t mtu)
    : random_(random),
      mtu_(mtu),
      identity_(std::make_unique<Identity>(SecretKey())),
      rate_limiter_(random_mac(random)),
      load_(random_mac(random)),
      jitter_state_((std::uint64_t{random.next_u32()} << 32) | random.next_u32()) {}

Engine::~Engine() = default;

void Engine::on_datagram(const Path& from, std::uint8_t traffic_class, ByteSpan datagram, const Now& now,
                         FrameSink& frames, DatagramSink& out) noexcept {
  if (!is_up_) return count_drop(DropReason::LinkDown);
  const Verdict<Message> parsed = parse_message(datagram);
  if (!parsed) return count_drop(parsed.error());
  if (const auto* data = std::get_if<MessageData>(&*parsed)) {
    on_data(from, traffic_class, *data, now, frames, out);
  } else if (const auto* initiation = std::get_if<MessageInitiation>(&*parsed)) {
    on_initiation(from, *initiation, now, out);
  } else if (const auto* response = std::get_if<MessageResponse>(&*parsed)) {
    on_response(from, *response, now, out);
  } else {
    on_cookie_reply(std::get<MessageCookieReply>(*parsed), now);
  }
}

void Engine::on_deadline(const Now& now, DatagramSink& out) noexcept {
  while (const auto due = deadlines_.take_due(now.time)) {
    Peer& peer = *peers_.find(*due);
    if (!is_up_) {
      grow_old(peer, now, out);
      continue;
    }
    if (std::exchange(peer.wants_keepalive_now, false)) send_keepalive(peer, now, out);
    if (std::exchange(peer.wants_handshake_now, false) && peer.candidate) send_initiation(peer, true, now, out);
    attend_agreement(peer, now, out);
    attend_loops(now);
    attend_path(peer, now, out);
    attend_bench(peer, now, out);
    while (const auto action = peer.timers.expire(now.time)) carry_out(*action, peer, now, out);
    schedule(peer, now.time);
  }
}

void Engine::grow_old(Peer& peer, const Now& now, DatagramSink& out) noexcept {
  while (const auto action = peer.timers.expire(now.time)) {
    if (*action == TimerAction::ZeroKeys) carry_out(*action, peer, now, out);
  }
  schedule(peer, now.time);
}

void Engine::carry_out(TimerAction action, Peer& peer, const Now& now, DatagramSink& out) noexcept {
  switch (action) {
    case TimerAction::RetryHandshake:
      events_.push({EventKind::HandshakeUnanswered, peer.id});
      if (peer.path) peer.path->local.reset();
      send_initiation(peer, true, now, out);
      break;
    case TimerAction::GiveUpHandshake:
      drops_.count(DropReason::StagedExpired, staged_.clear(peer.staged));
      if (switching_) switching_->ethernet.forget_stations(peer.id);
      events_.push({EventKind::HandshakeAbandoned, peer.id});
      break;
    case TimerAction::PersistentKeepalive:
    case TimerAction::SendKeepalive:
      send_keepalive(peer, now, out);
      break;
    case TimerAction::StartHandshake:
      if (peer.path) peer.path->local.reset();
      send_initiation(peer, false, now, out);
      break;
    case TimerAction::ZeroKeys:
      wipe_sessions(peer);
      // A handshake begun just now, by a frame that came before this timer when the machine woke up, is not too old.
      if (!peer.last_handshake_sent || now.time - *peer.last_handshake_sent >= limits::rekey_timeout) {
        wipe_handshake(peer);
      }
      events_.push({EventKind::KeysExpired, peer.id});
      break;
  }
}

void Engine::schedule(const Peer& peer, Timestamp now) noexcept {
  if (!is_up_) {
    if (const auto deadline = peer.timers.deadline()) deadlines_.wake_by(peer.id, *deadline);
    return;
  }
  if (peer.wants_keepalive_now || peer.wants_handshake_now) deadlines_.wake_by(peer.id, now);
  const auto bench = peer.bench ? peer.bench->deadline() : std::nullopt;
  for (const auto& deadline : {peer.timers.deadline(), peer.agreement.deadline(), peer.path_mtu.deadline(), bench}) {
    if (deadline) deadlines_.wake_by(peer.id, *deadline);
  }
}

Timers::Duration Engine::jitter() noexcept {
  // Spreads retries, guards nothing: a cheap generator will do, and spares a system call per packet.
  jitter_state_ = jitter_state_ * 6364136223846793005u + 1442695040888963407u;
  const auto range = std::uint64_t(Timers::Duration(limits::rekey_timeout_jitter_max).count()) + 1;
  return Timers::Duration(static_cast<std::int64_t>((jitter_state_ >> 33) % range));
}

void Engine::set_link_up(bool is_up, const Now& now) noexcept {
  if (is_up == is_up_) return;
  is_up_ = is_up;
  peers_.for_each([&](Peer& peer) {
    if (!is_up_) return drops_.count(DropReason::LinkDown, staged_.clear(peer.staged));
    const Session* session = peer.sessions.current();
    if (session && session->can_seal(now.time)) peer.wants_keepalive_now = true;
    if (peer.timers.persistent_keepalive().count() != 0) peer.wants_keepalive_now = true;
    peer.last_handshake_sent.reset();
    schedule(peer, now.time);
  });
}

void Engine::set_private_key(SecretKey key) {
  if (key == identity_->secret) return;
  peers_.for_each([this](Peer& peer) {
    wipe_sessions(peer);
    wipe_handshake(peer);
    peer.timers.stop();
  });
  // Handshakes refer to the identity, so the old one stays until all have been given the new one.
  auto identity = std::make_unique<Identity>(std::move(key));
  cookies_.reset();
  if (!identity->secret.is_zero()) {
    if (const Peer* self = peers_.find(identity->public_key)) remove_peer(self->id);
    cookies_ = std::make_unique<CookieChecker>(identity->public_key);
  }
  peers_.for_each([this, &identity](Peer& peer) {
    peer.handshake.set_identity(*identity);
    peer.answer.set_identity(*identity);
    peer.last_handshake_sent.reset();
    peer.wants_keepalive_now = peer.timers.persistent_keepalive().count() != 0;
    schedule(peer, Timestamp{});
  });
  identity_ = std::move(identity);
}

void Engine::set_cipher(CipherChoice choice) noexcept {
  if (choice == cipher_) return;
  cipher_ = choice;
  second_suite_.reset();
  if (choice.is_auto() && is_usable(CipherSuite::Aes256Gcm)) second_suite_ = CipherSuite::Aes256Gcm;
  peers_.for_each([this](Peer& peer) { wipe_sessions(peer); });
}

Peer* Engine::ensure_peer(const PublicKey& key) {
  if (identity() && key == identity_->public_key) return nullptr;
  Peer& peer = peers_.ensure(*identity_, key);
  if (switching_) switching_->add_port(peer.id);
  return &peer;
}

const Peer* Engine::find_peer(const PublicKey& key) const noexcept {
  return const_cast<PeerDirectory&>(peers_).find(key);  // NOLINT: lookup only
}

void Engine::remove_peer(PeerId id) noexcept {
  Peer* peer = peers_.find(id);
  if (!peer) return;
  clear_allowed_ips(id);
  forget_peer(id);
}

void Engine::forget_peer(PeerId id) noexcept {
  Peer& peer = *peers_.find(id);
  wipe_sessions(peer);
  wipe_handshake(peer);
  drops_.count(DropReason::StagedExpired, staged_.clear(peer.staged));
  drops_.count(DropReason::FragmentExpired, reassembler_.release(peer.reassembly));
  deadlines_.remove(id);
  if (switching_) switching_->remove_port(id);
  peers_.remove(id);
}

void Engine::set_preshared_key(PeerId id, PresharedKey key) noexcept {
  Peer* peer = peers_.find(id);
  if (!peer) return;
  peer->answer.set_preshared_key(key.clone());
  peer->handshake.set_preshared_key(std::move(key));
}

void Engine::set_endpoint(PeerId id, const Endpoint& endpoint) noexcept {
  Peer* peer = peers_.find(id);
  if (!peer) return;
  const bool is_other = !peer->path || peer->path->remote != endpoint;
  peer->path = Path{endpoint, std::nullopt, 0};
  peer->candidate.reset();
  if (is_other) begin_path(*peer);
}

void Engine::free_source(PeerId id, const Now& now) noexcept {
  Peer* peer = peers_.find(id);
  if (!peer || !peer->path) return;
  peer->path->local.reset();
  peer->source_is_free_until = now.time + source_free_time;
}

void Engine::free_sources(const Now& now) noexcept {
  peers_.for_each([&](Peer& peer) {
    free_source(peer.id, now);
    const Session* session = peer.sessions.current();
    if (session && session->can_seal(now.time)) peer.wants_keepalive_now = true;
    schedule(peer, now.time);
  });
}

void Engine::probe_endpoint(PeerId id, const Endpoint& candidate, const Now& now) noexcept {
  Peer* peer = peers_.find(id);
  if (!peer) return;
  if (!peer->path) return set_endpoint(id, candidate);
  peer->candidate = candidate;
  // Without a session there is nobody to speak to: whoever has something to say begins the handshake.
  Session* session = peer->sessions.current();
  peer->wants_handshake_now = session && session->can_seal(now.time);
  schedule(*peer, now.time);
}

void Engine::set_persistent_keepalive(PeerId id, std::chrono::seconds interval, const Now& now) noexcept {
  Peer* peer = peers_.find(id);
  if (!peer) return;
  if (peer->timers.persistent_keepalive().count() == 0) peer->wants_keepalive_now = interval.count() != 0;
  peer->timers.set_persistent_keepalive(interval, now.time);
  schedule(*peer, now.time);
}

void Engine::wipe_sessions(Peer& peer) noexcept {
  release(peer.sessions.clear());
  peer.agreement.session_ended();
  if (switching_) switching_->ethernet.forget_stations(peer.id);
}

void Engine::wipe_handshake(Peer& peer) noexcept {
  if (peer.handshake.state() != HandshakeState::Zeroed) peers_.release_index(peer.handshake.local_index());
  peer.handshake.clear();
}

void Engine::release(const ReleasedIndices& indices) noexcept {
  for (const SessionIndex index : indices) peers_.release_index(index);
}

}  // namespace culvert
