// The Noise_IKpsk2 handshake with one peer (WireGuard paper, 5.4.2 and 5.4.3).
#pragma once

#include <optional>
#include <string_view>

#include "culvert/base/random.hpp"
#include "culvert/base/result.hpp"
#include "culvert/base/time.hpp"
#include "culvert/protocol/messages.hpp"
#include "culvert/protocol/noise_state.hpp"
#include "culvert/protocol/session.hpp"
#include "culvert/protocol/tai64n.hpp"

namespace culvert {

/// Our own static key pair. Outlives every Handshake that refers to it.
struct Identity {
  SecretKey secret;
  PublicKey public_key;

  explicit Identity(SecretKey key) : secret(std::move(key)), public_key(public_key_of(secret)) {}
};

enum class HandshakeState { Zeroed, CreatedInitiation, ConsumedInitiation, CreatedResponse, ConsumedResponse };

/// An initiation whose sender is known but not yet checked to be a fresh and configured one.
struct OpenedInitiation {
  NoiseState noise;
  PublicKey initiator;
  PublicKey ephemeral;
  SealedTimestamp sealed_timestamp;
  SessionIndex sender;
};

/// First half of consuming an initiation: needs no peer, tells which one it claims to come from.
/// HandshakeAuthentication when it was not made for `identity`.
[[nodiscard]] Verdict<OpenedInitiation> open_initiation(const Identity& identity, const MessageInitiation& message);

/// What the keys of a suite are derived with, so that no two ciphers ever have the same: "" for WireGuard's own,
/// "culvert aes-256-gcm", "culvert none".
[[nodiscard]] std::string_view transport_label(CipherSuite suite) noexcept;

/// One peer's handshake, either role; at most one is in progress. Every failing call leaves the state as it was.
/// Messages are written without their macs (see cookie.hpp).
class Handshake {
 public:
  /// A peer whose public key is a low-order point gives a handshake that never succeeds.
  Handshake(const Identity& identity, const PublicKey& peer, PresharedKey psk);

  /// New static keys on our side: what was computed is forgotten, state Zeroed.
  void set_identity(const Identity& identity);
  /// Takes effect at the next handshake (W-19).
  void set_preshared_key(PresharedKey psk) noexcept { psk_ = std::move(psk); }
  [[nodiscard]] const PresharedKey& preshared_key() const noexcept { return psk_; }

  /// Starts over as initiator. False, nothing written, when a Diffie-Hellman result is zero.
  [[nodiscard]] bool create_initiation(MessageInitiation& message, SessionIndex local, const Tai64n& timestamp,
                                       Random& random);
  /// Second half of consuming an initiation. DropReasons: HandshakeAuthentication, TimestampReplay, InitiationFlood.
  [[nodiscard]] Verdict<void> consume_initiation(OpenedInitiation&& opened, Timestamp now);
  /// Only after consume_initiation; false otherwise or when a Diffie-Hellman result is zero.
  [[nodiscard]] bool create_response(MessageResponse& message, SessionIndex local, Random& random);
  /// Only while an initiation of ours is unanswered; else UnexpectedResponse. HandshakeAuthentication when it fails.
  [[nodiscard]] Verdict<void> consume_response(const MessageResponse& message);

  /// After create_response (as responder) or consume_response (as initiator): the session, and the ephemeral secret and
  /// chaining key are wiped, state Zeroed. Nothing in other states. Each suite has keys of its own (transport_label);
  /// with a `second` one the session has both.
  [[nodiscard]] std::unique_ptr<Session> derive_session(Timestamp now,
                                                        CipherSuite suite = CipherSuite::ChaCha20Poly1305,
                                                        std::optional<CipherSuite> second = std::nullopt);

  /// Wipes what is in progress; remembers the greatest timestamp.
  void clear() noexcept;

  [[nodiscard]] HandshakeState state() const noexcept { return state_; }
  /// The index given to create_initiation or create_response, while state is not Zeroed.
  [[nodiscard]] SessionIndex local_index() const noexcept { return local_; }
  [[nodiscard]] const PublicKey& peer() const noexcept { return peer_; }

 private:
  /// Computes static-static the first time it is needed, so that thousands of peers are added in no time.
  [[nodiscard]] bool is_possible();

  const Identity* identity_;
  PublicKey peer_;
  PresharedKey psk_;
  SharedSecret static_static_;
  std::optional<bool> is_possible_;  ///< static-static is not zero; unset: not computed yet

  HandshakeState state_ = HandshakeState::Zeroed;
  SessionIndex local_{};
  SessionIndex remote_{};
  SecretKey ephemeral_;
  PublicKey remote_ephemeral_;
  std::optional<NoiseState> noise_;

  Tai64n greatest_timestamp_;
  std::optional<Timestamp> last_initiation_consumed_;
};

}  // namespace culvert
