// A handshake spelled out step by step, so that any step can be done wrong.
#pragma once

#include <string_view>

#include "culvert/crypto/aead.hpp"
#include "culvert/crypto/hash.hpp"
#include "culvert/crypto/kdf.hpp"
#include "culvert/crypto/key_exchange.hpp"
#include "culvert/protocol/messages.hpp"
#include "culvert/protocol/tai64n.hpp"

namespace culvert {

/// The result of a Diffie-Hellman exchange, zero where it fails.
inline SharedSecret exchange(const SecretKey& ours, const PublicKey& theirs) {
  SharedSecret secret;
  static_cast<void>(key_exchange(ours, theirs, secret));
  return secret;
}

/// What the forger does differently; by default nothing, which makes a genuine handshake.
struct Forgery {
  std::string_view construction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
  std::string_view identifier = "WireGuard v1 zx2c4 Jason@zx2c4.com";
  bool without_es = false;
  bool without_ss = false;
  bool without_ee = false;
  bool without_se = false;
  bool without_psk = false;
  bool timestamp_before_static = false;
};

/// Both roles over one transcript.
class ForgedHandshake {
 public:
  ForgedHandshake(const PublicKey& responder, const Forgery& forgery)
      : forgery_(forgery), chaining_key_(blake2s({bytes_of(forgery.construction)})) {
    hash_ = blake2s({chaining_key_, bytes_of(forgery.identifier)});
    mix_hash(responder.bytes());
  }

  void set_forgery(const Forgery& forgery) { forgery_ = forgery; }
  [[nodiscard]] const Digest& chaining_key() const { return chaining_key_; }

  /// `es` and `ss` as the forger believes them to be.
  MessageInitiation initiation(SessionIndex sender, const PublicKey& ephemeral, const PublicKey& initiator,
                               const SharedSecret& es, const SharedSecret& ss, const Tai64n& timestamp) {
    MessageInitiation message{};
    message.sender = sender.value();
    mix_ephemeral(ephemeral, message.ephemeral);
    Digest key{};
    if (forgery_.timestamp_before_static) {
      key = mix(ss);
      seal(key, timestamp.bytes(), message.sealed_timestamp);
      key = mix(es);
      seal(key, initiator.bytes(), message.sealed_static);
      return message;
    }
    if (!forgery_.without_es) key = mix(es);
    seal(key, initiator.bytes(), message.sealed_static);
    if (!forgery_.without_ss) key = mix(ss);
    seal(key, timestamp.bytes(), message.sealed_timestamp);
    return message;
  }

  /// Takes in a genuine initiation for `responder`.
  void follow(const MessageInitiation& message, const SecretKey& responder, const PublicKey& initiator) {
    WireKey unused;
    const PublicKey ephemeral(message.ephemeral);
    mix_ephemeral(ephemeral, unused);
    static_cast<void>(mix(exchange(responder, ephemeral)));
    mix_hash(message.sealed_static);
    static_cast<void>(mix(exchange(responder, initiator)));
    mix_hash(message.sealed_timestamp);
  }

  MessageResponse response(SessionIndex sender, SessionIndex receiver, const PublicKey& ephemeral,
                           const SharedSecret& ee, const SharedSecret& se, const PresharedKey& psk) {
    MessageResponse message{};
    message.sender = sender.value();
    message.receiver = receiver.value();
    mix_ephemeral(ephemeral, message.ephemeral);
    Digest key{};
    if (!forgery_.without_ee) key = mix(ee);
    if (!forgery_.without_se) key = mix(se);
    if (!forgery_.without_psk) {
      Digest to_hash;
      kdf3(chaining_key_, psk.bytes(), chaining_key_, to_hash, key);
      mix_hash(to_hash);
    }
    seal(key, {}, message.sealed_nothing);
    return message;
  }

 private:
  void mix_hash(ByteView data) { hash_ = blake2s({hash_, data}); }
  void mix_ephemeral(const PublicKey& key, WireKey& wire) {
    copy_bytes(key.bytes(), wire);
    kdf1(chaining_key_, key.bytes(), chaining_key_);
    mix_hash(key.bytes());
  }
  Digest mix(const SharedSecret& secret) {
    Digest key;
    kdf2(chaining_key_, secret.bytes(), chaining_key_, key);
    return key;
  }
  void seal(const Digest& key, ByteView plaintext, ByteSpan out) {
    Aead(SymmetricKey(key)).seal(0, plaintext, hash_, out);
    mix_hash(out);
  }

  Forgery forgery_;
  Digest chaining_key_;
  Digest hash_{};
};

}  // namespace culvert
