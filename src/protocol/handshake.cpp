// Both roles of the handshake: -> e, es, s, ss, {t}  <- e, ee, se, psk, {}.
#include "culvert/protocol/handshake.hpp"

#include "culvert/protocol/limits.hpp"

namespace culvert {

namespace {

void mix_ephemeral(NoiseState& noise, const WireKey& ephemeral) noexcept {
  noise.mix_key(ephemeral);
  noise.mix_hash(ephemeral);
}

WireKey to_wire(const PublicKey& key) noexcept {
  WireKey wire;
  copy_bytes(key.bytes(), wire);
  return wire;
}

}  // namespace

Verdict<OpenedInitiation> open_initiation(const Identity& identity, const MessageInitiation& message) {
  NoiseState noise(identity.public_key);
  mix_ephemeral(noise, message.ephemeral);
  const PublicKey ephemeral(message.ephemeral);
  SymmetricKey key;
  if (!noise.mix_exchange(identity.secret, ephemeral, key)) return DropReason::HandshakeAuthentication;
  WireKey initiator;
  if (!noise.decrypt_and_hash(std::move(key), message.sealed_static, initiator)) {
    return DropReason::HandshakeAuthentication;
  }
  return OpenedInitiation{std::move(noise), PublicKey(initiator), ephemeral, message.sealed_timestamp,
                          SessionIndex(message.sender)};
}

Handshake::Handshake(const Identity& identity, const PublicKey& peer, PresharedKey psk)
    : identity_(&identity), peer_(peer), psk_(std::move(psk)) {}

void Handshake::set_identity(const Identity& identity) {
  identity_ = &identity;
  is_possible_.reset();
  clear();
}

bool Handshake::is_possible() {
  if (!is_possible_) is_possible_ = key_exchange(identity_->secret, peer_, static_static_);
  return *is_possible_;
}

bool Handshake::create_initiation(MessageInitiation& message, SessionIndex local, const Tai64n& timestamp,
                                  Random& random) {
  if (!is_possible()) return false;
  SecretKey ephemeral = generate_secret_key(random);
  MessageInitiation draft{};
  draft.sender = local.value();
  draft.ephemeral = to_wire(public_key_of(ephemeral));

  NoiseState noise(peer_);
  mix_ephemeral(noise, draft.ephemeral);
  SymmetricKey key;
  if (!noise.mix_exchange(ephemeral, peer_, key)) return false;
  noise.encrypt_and_hash(std::move(key), identity_->public_key.bytes(), draft.sealed_static);
  noise.encrypt_and_hash(noise.mix_shared(static_static_), timestamp.bytes(), draft.sealed_timestamp);

  message = draft;
  local_ = local;
  ephemeral_ = std::move(ephemeral);
  noise_ = std::move(noise);
  state_ = HandshakeState::CreatedInitiation;
  return true;
}

Verdict<void> Handshake::consume_initiation(OpenedInitiation&& opened, Timestamp now) {
  if (!is_possible()) return DropReason::HandshakeAuthentication;
  std::array<std::byte, 12> timestamp_bytes;
  if (!opened.noise.decrypt_and_hash(opened.noise.mix_shared(static_static_), opened.sealed_timestamp,
                                     timestamp_bytes)) {
    return DropReason::HandshakeAuthentication;
  }
  const Tai64n timestamp(timestamp_bytes);
  if (timestamp <= greatest_timestamp_) return DropReason::TimestampReplay;
  if (last_initiation_consumed_ && now - *last_initiation_consumed_ < limits::min_initiation_interval) {
    return DropReason::InitiationFlood;
  }

  // What an initiation of ours left behind is of no use any more: the peer's takes its place, as in noise.c.
  wipe(ephemeral_.writable_bytes());
  greatest_timestamp_ = timestamp;
  last_initiation_consumed_ = now;
  remote_ = opened.sender;
  remote_ephemeral_ = opened.ephemeral;
  noise_ = std::move(opened.noise);
  state_ = HandshakeState::ConsumedInitiation;
  return {};
}

bool Handshake::create_response(MessageResponse& message, SessionIndex local, Random& random) {
  if (state_ != HandshakeState::ConsumedInitiation) return false;
  const SecretKey ephemeral = generate_secret_key(random);
  MessageResponse draft{};
  draft.sender = local.value();
  draft.receiver = remote_.value();
  draft.ephemeral = to_wire(public_key_of(ephemeral));

  NoiseState noise = noise_->clone();
  mix_ephemeral(noise, draft.ephemeral);
  SymmetricKey unused;
  if (!noise.mix_exchange(ephemeral, remote_ephemeral_, unused)) return false;
  if (!noise.mix_exchange(ephemeral, peer_, unused)) return false;
  noise.encrypt_and_hash(noise.mix_preshared(psk_), {}, draft.sealed_nothing);

  message = draft;
  local_ = local;
  noise_ = std::move(noise);
  state_ = HandshakeState::CreatedResponse;
  return true;
}

Verdict<void> Handshake::consume_response(const MessageResponse& message) {
  if (state_ != HandshakeState::CreatedInitiation || SessionIndex(message.receiver) != local_) {
    return DropReason::UnexpectedResponse;
  }
  NoiseState noise = noise_->clone();
  mix_ephemeral(noise, message.ephemeral);
  const PublicKey ephemeral(message.ephemeral);
  SymmetricKey unused;
  if (!noise.mix_exchange(ephemeral_, ephemeral, unused) || !noise.mix_exchange(identity_->secret, ephemeral, unused) ||
      !noise.decrypt_and_hash(noise.mix_preshared(psk_), message.sealed_nothing, {})) {
    return DropReason::HandshakeAuthentication;
  }

  wipe(ephemeral_.writable_bytes());
  remote_ = SessionIndex(message.sender);
  noise_ = std::move(noise);
  state_ = HandshakeState::ConsumedResponse;
  return {};
}

std::string_view transport_label(CipherSuite suite) noexcept {
  switch (suite) {
    case CipherSuite::Aes256Gcm:
      return "culvert aes-256-gcm";
    case CipherSuite::None:
      return "culvert none";
    case CipherSuite::ChaCha20Poly1305:
      break;
  }
  return {};
}

std::unique_ptr<Session> Handshake::derive_session(Timestamp now, CipherSuite suite,
                                                   std::optional<CipherSuite> second) {
  const bool is_initiator = state_ == HandshakeState::ConsumedResponse;
  if (!is_initiator && state_ != HandshakeState::CreatedResponse) return nullptr;
  const auto keys_of = [&](CipherSuite of) {
    Session::Keys keys;
    keys.suite = of;
    SymmetricKey& from_initiator = is_initiator ? keys.sending : keys.receiving;
    SymmetricKey& from_responder = is_initiator ? keys.receiving : keys.sending;
    noise_->split(from_initiator, from_responder, transport_label(of));
    return keys;
  };
  std::optional<Session::Keys> second_keys;
  if (second) second_keys = keys_of(*second);
  auto session = std::make_unique<Session>(keys_of(suite), is_initiator, local_, remote_, now, std::move(second_keys));
  clear();
  return session;
}

void Handshake::clear() noexcept {
  wipe(ephemeral_.writable_bytes());
  noise_.reset();
  remote_ephemeral_ = PublicKey();
  local_ = SessionIndex();
  remote_ = SessionIndex();
  state_ = HandshakeState::Zeroed;
}

}  // namespace culvert
