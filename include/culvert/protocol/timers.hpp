// When a peer wants to be woken, and for what. Callers say what happened; only this file knows what follows.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

#include "culvert/base/time.hpp"
#include "culvert/protocol/limits.hpp"

namespace culvert {

/// What a due timer asks its owner to do.
enum class TimerAction {
  RetryHandshake,       ///< no response in time: forget the sticky source address, create an initiation again
  GiveUpHandshake,      ///< too many retries: drop staged frames
  SendKeepalive,        ///< data was received and nothing sent back
  StartHandshake,       ///< data was sent and nothing came back: forget the sticky source address, create an initiation
  ZeroKeys,             ///< wipe sessions and handshake
  PersistentKeepalive,  ///< send a keepalive to keep a NAT mapping open
};

/// The five timers of one peer, after timers.c of the kernel module. Each event is named for what happened and called
/// right after it; `jitter` is a random duration in [0, limits::rekey_timeout_jitter_max].
class Timers {
 public:
  using Duration = Timestamp::duration;

  /// 0 switches it off; otherwise a persistent keepalive is due `interval` after now.
  void set_persistent_keepalive(std::chrono::seconds interval, Timestamp now) noexcept;
  [[nodiscard]] std::chrono::seconds persistent_keepalive() const noexcept { return persistent_interval_; }

  void data_sent(Timestamp now, Duration jitter) noexcept;
  void data_received(Timestamp now) noexcept;
  void any_authenticated_packet_sent() noexcept;
  void any_authenticated_packet_received() noexcept;
  void any_authenticated_packet_traversal(Timestamp now) noexcept;
  void handshake_initiated(Timestamp now, Duration jitter) noexcept;
  void handshake_complete() noexcept;
  void session_derived(Timestamp now) noexcept;

  /// A handshake wanted for a new reason: attempts count from zero again.
  void attempts_reset() noexcept { attempts_ = 0; }

  /// The earliest time at which expire() has something.
  [[nodiscard]] std::optional<Timestamp> deadline() const noexcept;
  /// Takes one action that is due at `now`; call until it returns nothing.
  [[nodiscard]] std::optional<TimerAction> expire(Timestamp now) noexcept;

  /// Everything off, as when the device goes down or the peer goes away; the persistent interval is kept.
  void stop() noexcept;

 private:
  std::optional<Timestamp> retry_handshake_;
  std::optional<Timestamp> send_keepalive_;
  std::optional<Timestamp> new_handshake_;
  std::optional<Timestamp> zero_keys_;
  std::optional<Timestamp> persistent_keepalive_;
  std::chrono::seconds persistent_interval_{0};
  unsigned attempts_ = 0;
  bool need_another_keepalive_ = false;
};

}  // namespace culvert
