// Compares what an engine did with what it may do.
#include "sim/rules.hpp"

#include <algorithm>

#include "culvert/protocol/limits.hpp"

namespace culvert::sim {

using namespace std::chrono_literals;

namespace {

constexpr auto initiation_type = std::byte{1};
constexpr auto response_type = std::byte{2};
constexpr auto cookie_type = std::byte{3};

bool is_of_type(ByteView datagram, std::byte type) {
  return !datagram.empty() && datagram[0] == type;
}
bool is_handshake(ByteView datagram) {
  return is_of_type(datagram, initiation_type) || is_of_type(datagram, response_type);
}
bool is_data(ByteView datagram) {
  return datagram.size() >= limits::data_overhead && !is_handshake(datagram) && !is_of_type(datagram, cookie_type);
}
SessionIndex receiver_of(ByteView data) {
  return SessionIndex(load<Le32>(&data[4]));
}
bool sends(const std::vector<SentDatagram>& sent, std::byte type) {
  return std::ranges::any_of(sent, [&](const SentDatagram& one) { return is_of_type(one.bytes, type); });
}

}  // namespace

std::size_t Archive::hash(ByteView bytes) {
  if (is_handshake(bytes) && bytes.size() >= sizeof(MessageResponse)) bytes = bytes.first(bytes.size() - sizeof(Mac));
  return std::hash<std::string_view>()({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Rules::State Rules::state_of(const Peer& peer) {
  State state;
  if (peer.path) state.place = peer.path->remote;
  if (const Session* current = peer.sessions.current()) {
    state.current = Use{current->local_index(), current->remote_index(), current->birth(), current->is_initiator(),
                        current->sending_counter() >= limits::rekey_after_messages};
  }
  state.last_handshake_sent = peer.last_handshake_sent;
  state.received_bytes = peer.received_bytes;
  return state;
}

void Rules::remember(const Engine& engine) {
  before_.assign(engine.peers().slot_count(), {});
  births_.clear();
  engine.peers().for_each([this](const Peer& peer) {
    before_[peer.id.value()] = state_of(peer);
    for (const Session* session : {peer.sessions.current(), peer.sessions.previous(), peer.sessions.next()}) {
      if (session) births_.emplace(session->local_index().value(), session->birth());
    }
  });
}

void Rules::frame_begins(const Engine& engine) {
  remember(engine);
  cause_ = Cause::Frame;
}

void Rules::deadline_begins(const Engine& engine) {
  remember(engine);
  cause_ = Cause::Deadline;
}

void Rules::datagram_begins(const Engine& engine, const Endpoint& source, ByteView datagram, const Archive& archive,
                            Timestamp now) {
  remember(engine);
  source_ = source;
  origin_ = archive.find(datagram);
  cause_ = is_handshake(datagram)              ? Cause::Handshake
           : is_of_type(datagram, cookie_type) ? Cause::Cookie
           : is_data(datagram)                 ? Cause::Data
                                               : Cause::Nonsense;
  birth_.reset();
  if (cause_ == Cause::Data) {
    const auto session = births_.find(receiver_of(datagram).value());
    if (session != births_.end()) birth_ = session->second;
    if (origin_) heard_.insert(receiver_of(datagram).value());
  }
  if (cause_ != Cause::Handshake) return;
  handshakes_came_.push_back(now);
  while (now - handshakes_came_.front() > 2s) handshakes_came_.pop_front();
}

void Rules::end(const Engine& engine, const std::vector<SentDatagram>& sent, Timestamp now,
                const std::function<const PublicKey&(std::size_t)>& key_of, const Fail& fail) {
  for (const SentDatagram& one : sent) {
    if (is_data(one.bytes)) check_data(engine, one, now, fail);
  }
  engine.peers().for_each([&](const Peer& peer) {
    const State& before = before_[peer.id.value()];
    check_place(peer, before, key_of, fail);
    const bool is_counted = peer.received_bytes != before.received_bytes;
    if (cause_ == Cause::Data && is_counted && (!birth_ || now - *birth_ >= 180s)) {
      fail("W-07: data was taken under keys of three minutes");
    }
    check_renewal(peer, before, sent, now, fail);
  });
  check_handshake(sent, now, fail);
}

/// W-05 and W-07.
void Rules::check_data(const Engine& engine, const SentDatagram& sent, Timestamp now, const Fail& fail) const {
  const SessionIndex receiver = receiver_of(sent.bytes);
  std::optional<Use> use;
  engine.peers().for_each([&](const Peer& peer) {
    const State& before = before_[peer.id.value()];
    if (before.current && before.current->remote == receiver) use = before.current;
    const State after = state_of(peer);
    if (after.current && after.current->remote == receiver) use = after.current;
  });
  if (!use) return fail("W-05: data was sent under keys that are not the present ones");
  if (!use->is_initiator && !heard_.contains(use->local.value())) {
    fail("W-05: a responder sent data before it had any from the initiator");
  }
  if (now - use->birth >= 180s) fail("W-07: data was sent under keys of three minutes");
}

/// W-07, W-13 and W-21: what does not come from the peer itself moves nothing and counts for nothing.
void Rules::check_place(const Peer& peer, const State& before,
                        const std::function<const PublicKey&(std::size_t)>& key_of, const Fail& fail) const {
  const State after = state_of(peer);
  const bool is_moved = after.place != before.place;
  const bool is_counted = after.received_bytes != before.received_bytes;
  if (!is_moved && !is_counted) return;
  if (cause_ != Cause::Handshake && cause_ != Cause::Data)
    return fail("W-13: something else than an authentic packet moved a peer");
  if (!origin_ || key_of(origin_->host) != peer.public_key())
    return fail("W-13: a forged datagram passed for a peer's");
  if (after.place != source_) fail("W-13: a peer is not where its last packet came from");
}

/// W-06.
void Rules::check_renewal(const Peer& peer, const State& before, const std::vector<SentDatagram>& sent, Timestamp now,
                          const Fail& fail) const {
  if (cause_ != Cause::Frame && cause_ != Cause::Data) return;
  const bool is_frame = cause_ == Cause::Frame;
  const State after = state_of(peer);
  const std::optional<Use>& use = is_frame ? before.current : after.current;
  if (!use) return;
  const auto age = now - use->birth;
  const bool is_asked = peer.last_handshake_sent != before.last_handshake_sent;
  if (is_asked && age < 180s && !use->is_worn) {
    if (!use->is_initiator) fail("W-06: a responder asked for new keys because of their age");
    if (age < (is_frame ? 120s : 165s)) fail("W-06: an initiator asked for new keys too early");
  }
  const bool has_sent = std::ranges::any_of(
      sent, [&](const SentDatagram& one) { return is_data(one.bytes) && receiver_of(one.bytes) == use->remote; });
  const bool may_ask = !before.last_handshake_sent || now - *before.last_handshake_sent >= 5s;
  if (is_frame && has_sent && use->is_initiator && age >= 120s && may_ask && !is_asked) {
    fail("W-06: an initiator did not ask for new keys after two minutes");
  }
}

/// W-10, W-11 and W-12.
void Rules::check_handshake(const std::vector<SentDatagram>& sent, Timestamp now, const Fail& fail) {
  if (sends(sent, response_type)) {
    if (cause_ != Cause::Handshake || !origin_) return fail("W-10: a response to something else than an initiation");
    const auto [last, is_first] = answered_.emplace(origin_->host, origin_->number);
    if (!is_first && origin_->number <= last->second)
      fail("W-10: an initiation was answered that is not newer than the last");
    last->second = origin_->number;
  }
  if (!sends(sent, cookie_type)) return;
  if (cause_ != Cause::Handshake || sent.size() != 1 || sent[0].bytes.size() != 64 || sent[0].path.remote != source_) {
    fail("W-11: a cookie goes alone, to whoever sent a handshake message, and is smaller than that");
  }
  if (now - handshakes_came_.front() > 2s || handshakes_came_.size() < 256) {
    fail("W-12: a cookie was demanded without load, or more than a second after it");
  }
}

void Rules::initiation_sent(PeerId peer, Timestamp now, const Fail& fail) {
  const auto [last, is_first] = initiated_.emplace(peer.value(), now);
  if (!is_first && now - last->second < 5s) fail("W-17: two initiations within five seconds");
  last->second = now;
}

/// W-08.
void Rules::check_ages(const Engine& engine, Timestamp now, const Fail& fail) {
  engine.peers().for_each([&](const Peer& peer) {
    Timestamp newest{};
    for (const Session* session : {peer.sessions.current(), peer.sessions.previous(), peer.sessions.next()}) {
      if (session) newest = std::max(newest, session->birth());
    }
    if (newest != Timestamp{} && now - newest > 541s) fail("W-08: keys are there nine minutes after the last session");
  });
}

}  // namespace culvert::sim
