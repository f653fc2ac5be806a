// mac1, mac2 and the cookie reply: proof of address while the responder is under load (WireGuard paper, 5.3 and 5.4.7).
#pragma once

#include <optional>

#include "culvert/base/endpoint.hpp"
#include "culvert/base/random.hpp"
#include "culvert/base/result.hpp"
#include "culvert/base/time.hpp"
#include "culvert/crypto/keys.hpp"
#include "culvert/protocol/messages.hpp"

namespace culvert {

/// The responder's side: checks macs of what arrives, hands out cookies. One per device.
class CookieChecker {
 public:
  explicit CookieChecker(const PublicKey& own);

  /// `message` is a whole initiation or response. No state.
  [[nodiscard]] bool has_valid_mac1(ByteView message) const noexcept;
  /// Valid for this source address and port under the current secret; false when no cookie was ever handed out.
  [[nodiscard]] bool has_valid_mac2(ByteView message, const Endpoint& source, Timestamp now) const noexcept;
  /// Answers `message`, whose sender index is `receiver`. Makes a new secret when the old one is older than
  /// limits::cookie_secret_max_age.
  void create_reply(MessageCookieReply& reply, ByteView message, SessionIndex receiver, const Endpoint& source,
                    Timestamp now, Random& random) noexcept;

 private:
  [[nodiscard]] Mac cookie_for(const Endpoint& source) const noexcept;

  Digest mac1_key_;
  Digest sealing_key_;
  SymmetricKey secret_;
  std::optional<Timestamp> secret_birth_;
};

/// The initiator's side, one per peer: adds macs to what leaves, remembers the peer's cookie.
class CookieHolder {
 public:
  explicit CookieHolder(const PublicKey& peer);

  /// Writes mac1, and mac2 while a cookie is held (zero otherwise), into the whole message; remembers mac1 for the
  /// reply.
  void add_macs(ByteSpan message, Timestamp now) noexcept;
  /// InvalidCookie when it does not open with the mac1 last sent; UnexpectedResponse when none was sent since the last
  /// reply.
  [[nodiscard]] Verdict<void> consume_reply(const MessageCookieReply& reply, Timestamp now) noexcept;
  void clear() noexcept;

 private:
  Digest mac1_key_;
  Digest opening_key_;
  std::optional<Mac> last_mac1_;
  Mac cookie_{};
  std::optional<Timestamp> cookie_birth_;
};

}  // namespace culvert
