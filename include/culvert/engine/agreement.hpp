// What a peer said of itself, and when to say our own hello (docs/protocol.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "culvert/base/time.hpp"
#include "culvert/protocol/hello.hpp"

namespace culvert {

namespace limits {
/// Between hellos that nobody answered; also how long who did not begin a session waits for the other's first.
inline constexpr auto hello_interval = std::chrono::seconds(1);
/// In a session without an answer; one for a peer that was silent in the session before.
inline constexpr unsigned hellos_max = 3;
/// Answers in a session: what arrives after that is read, and not answered.
inline constexpr unsigned hello_answers_max = 8;
/// A peer that said hello once is taken for another program after as many sessions without one.
inline constexpr unsigned silent_sessions_max = 2;
}  // namespace limits

enum class PeerNature : std::uint8_t {
  Unknown,  ///< no session was long enough yet
  Stock,    ///< does not say hello: WireGuard and nothing else
  Culvert,
};

/// One peer's part of the in-band agreement: knows when, not how. What was said outlives the session it was said in,
/// until something else is said.
class Agreement {
 public:
  /// A session can be used from now on. Whoever began it speaks first.
  void session_began(bool is_initiator, Timestamp now) noexcept;
  /// No hello is due any more.
  void session_ended() noexcept { due_.reset(); }

  enum class Due {
    Nothing,
    Hello,    ///< one is to be sent
    Silence,  ///< that was the last one, and no answer came
  };
  /// What is due at `now`, once.
  [[nodiscard]] Due take_due(Timestamp now) noexcept;
  [[nodiscard]] std::optional<Timestamp> deadline() const noexcept { return due_; }

  struct Heard {
    bool is_first = false;      ///< in this session
    bool wants_answer = false;  ///< and may have one
  };
  /// The peer said `hello` in the present session.
  [[nodiscard]] Heard heard(const HelloMessage& hello) noexcept;
  /// Whether a hello was heard in the present session: ours is then an answer.
  [[nodiscard]] bool has_heard() const noexcept { return has_heard_; }

  [[nodiscard]] PeerNature nature() const noexcept { return nature_; }
  /// The peer's newest hello; nothing from a stock or unknown peer.
  [[nodiscard]] const std::optional<HelloMessage>& said() const noexcept { return said_; }
  /// Whether frames pass between a device of this mode and the peer: a routed one speaks to whoever does not say that
  /// it is switched, a switched one only to who says so.
  [[nodiscard]] bool fits(DeviceMode ours) const noexcept {
    return said_ ? said_->mode == ours : ours == DeviceMode::Routed;
  }
  /// While this lasts, frames for a peer that does not fit wait: it may say something new.
  [[nodiscard]] bool is_open() const noexcept { return due_.has_value(); }

 private:
  std::optional<HelloMessage> said_;
  std::optional<Timestamp> due_;
  PeerNature nature_ = PeerNature::Unknown;
  bool has_heard_ = false;
  std::uint8_t sent_ = 0;
  std::uint8_t answered_ = 0;
  std::uint8_t silent_sessions_ = 0;
};

}  // namespace culvert
