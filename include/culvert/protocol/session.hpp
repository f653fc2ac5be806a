// A pair of transport keys and what may be done with them.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "culvert/base/result.hpp"
#include "culvert/base/time.hpp"
#include "culvert/crypto/aead.hpp"
#include "culvert/protocol/hello.hpp"
#include "culvert/protocol/limits.hpp"
#include "culvert/protocol/messages.hpp"
#include "culvert/protocol/replay_window.hpp"

namespace culvert {

/// One session. Owns its sending counter: nobody else makes nonces for its key (W-20). One thread at a time, but for
/// seal_with(), seal_with_room() and decrypt(), which any number of threads may call beside each other and beside the
/// rest.
class Session {
 public:
  struct Keys {
    SymmetricKey sending;
    SymmetricKey receiving;
    CipherSuite suite = CipherSuite::ChaCha20Poly1305;
  };
  /// With keys of a second suite, which may be agreed on (agree()): until then only the first is used. Both share the
  /// sending counter and the replay window.
  Session(Keys keys, bool is_initiator, SessionIndex local, SessionIndex remote, Timestamp birth,
          std::optional<Keys> second = std::nullopt);

  [[nodiscard]] bool is_initiator() const noexcept { return is_initiator_; }
  [[nodiscard]] SessionIndex local_index() const noexcept { return local_; }
  [[nodiscard]] SessionIndex remote_index() const noexcept { return remote_; }
  /// What it seals with now.
  [[nodiscard]] CipherSuite suite() const noexcept { return suite_; }
  /// What it can open, once offered().
  [[nodiscard]] SuiteSet suites() const noexcept {
    return second_ ? SuiteSet{first_.sending.suite(), second_->sending.suite()} : SuiteSet{first_.sending.suite()};
  }
  /// The peer is being told suites(): from now on it may use any of them.
  void offered() noexcept { has_offered_ = true; }
  /// The peer said that it opens `theirs`: what is sealed from now on is so with the second suite, if there is one, it
  /// is among them, and we offered it as well.
  void agree(SuiteSet theirs) noexcept {
    if (second_ && has_offered_ && theirs.has(second_->sending.suite())) suite_ = second_->sending.suite();
  }
  /// Whether the peer may send under `suite` by now.
  [[nodiscard]] bool expects(CipherSuite suite) const noexcept {
    return suite == first_.sending.suite() || (has_offered_ && suites().has(suite));
  }
  [[nodiscard]] Timestamp birth() const noexcept { return birth_; }
  [[nodiscard]] std::uint64_t sending_counter() const noexcept { return sending_counter_; }

  /// Younger than reject_after_time, and `count` counters left.
  [[nodiscard]] bool can_seal(Timestamp now, std::size_t count = 1) const noexcept;
  /// The sender's rules for a fresh key: rekey_after_messages for both, rekey_after_time for the initiator.
  [[nodiscard]] bool needs_rekey_on_send(Timestamp now) const noexcept;
  /// The initiator's last-minute rule; true at most once per session.
  [[nodiscard]] bool needs_rekey_on_receive(Timestamp now) noexcept;

  /// Bytes of the message that carries a frame of `frame` bytes in a device of MTU `mtu`: header, frame padded to a
  /// multiple of limits::padding_multiple but never beyond the MTU, tag.
  [[nodiscard]] static std::size_t sealed_size(std::size_t frame, std::size_t mtu) noexcept;
  /// How much of that is padding.
  [[nodiscard]] static std::size_t padding_of(std::size_t frame, std::size_t mtu) noexcept {
    return sealed_size(frame, mtu) - limits::data_overhead - frame;
  }

  /// Writes the whole message into `out`, of sealed_size() bytes; padding is zero. `frame` and `out` do not overlap, or
  /// the frame starts exactly at out + 16. Requires can_seal(now).
  void seal(ByteView frame, ByteSpan out) noexcept;

  /// `count` counters in a row, the first of which is returned: nobody else gets them. Requires can_seal(now, count).
  [[nodiscard]] std::uint64_t claim_counters(std::size_t count) noexcept {
    return std::exchange(sending_counter_, sending_counter_ + count);
  }
  /// seal() under a counter that was claimed, and the suite() of that moment.
  void seal_with(CipherSuite suite, std::uint64_t counter, ByteView frame, ByteSpan out) noexcept;
  /// The same without moving a frame that is to be padded: there is memory behind it, limits::padding_multiple - 1
  /// bytes at least, which are as before afterwards. `frame` and `out` do not overlap.
  void seal_with_room(CipherSuite suite, std::uint64_t counter, ByteSpan frame, ByteSpan out) noexcept;

  /// open() without expects() and the replay window: the caller asks expects() and accepts() afterwards, before it uses
  /// the result.
  [[nodiscard]] Verdict<ByteSpan> decrypt(const MessageData& message, Timestamp now) noexcept;
  /// Whether the counter of a message that decrypt() opened is new; it is not any more.
  [[nodiscard]] bool accepts(std::uint64_t counter) noexcept {
    const bool is_new = window_.accept(counter);
    has_opened_ |= is_new;
    return is_new;
  }
  /// Whether there was one: both ends have the same keys and suites.
  [[nodiscard]] bool has_opened() const noexcept { return has_opened_; }

  /// Opens in place: suite, age and counter limit, then the tag, then the replay window, in that order; a failure
  /// changes nothing here (W-21). The result lies in message.sealed and still has its padding. DropReasons:
  /// CipherMismatch, SessionExpired, CounterExhausted, DataAuthentication, Replay.
  [[nodiscard]] Verdict<ByteSpan> open(const MessageData& message, Timestamp now) noexcept;

  /// For tests of the limits.
  void set_sending_counter(std::uint64_t counter) noexcept { sending_counter_ = counter; }

 private:
  struct Ciphers {
    explicit Ciphers(Keys keys) noexcept
        : sending(keys.suite, std::move(keys.sending)), receiving(keys.suite, std::move(keys.receiving)) {}
    Aead sending;
    Aead receiving;
  };
  /// Null for a suite that there are no keys for.
  [[nodiscard]] Ciphers* ciphers_of(CipherSuite suite) noexcept {
    if (suite == first_.sending.suite()) return &first_;
    return second_ && suite == second_->sending.suite() ? &*second_ : nullptr;
  }
  void write_header(CipherSuite suite, std::uint64_t counter, ByteSpan out) const noexcept;

  Ciphers first_;
  std::optional<Ciphers> second_;
  SessionIndex local_;
  SessionIndex remote_;
  Timestamp birth_;
  CipherSuite suite_;
  bool is_initiator_;
  bool has_offered_ = false;
  bool sent_last_minute_handshake_ = false;
  bool has_opened_ = false;
  std::uint64_t sending_counter_ = 0;
  ReplayWindow window_;
};
static_assert(sizeof(std::uint64_t) == 8);

}  // namespace culvert
