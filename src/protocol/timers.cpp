// The timers of timers.c of the kernel module, without clock and callbacks.
#include "culvert/protocol/timers.hpp"

#include <algorithm>
#include <utility>

namespace culvert {

void Timers::set_persistent_keepalive(std::chrono::seconds interval, Timestamp now) noexcept {
  persistent_interval_ = interval;
  persistent_keepalive_.reset();
  any_authenticated_packet_traversal(now);
}

void Timers::data_sent(Timestamp now, Duration jitter) noexcept {
  if (!new_handshake_) new_handshake_ = now + limits::dead_peer_time + jitter;
}

void Timers::data_received(Timestamp now) noexcept {
  if (send_keepalive_) {
    need_another_keepalive_ = true;
  } else {
    send_keepalive_ = now + limits::keepalive_timeout;
  }
}

void Timers::any_authenticated_packet_sent() noexcept {
  send_keepalive_.reset();
}

void Timers::any_authenticated_packet_received() noexcept {
  new_handshake_.reset();
}

void Timers::any_authenticated_packet_traversal(Timestamp now) noexcept {
  if (persistent_interval_ > std::chrono::seconds::zero()) persistent_keepalive_ = now + persistent_interval_;
}

void Timers::handshake_initiated(Timestamp now, Duration jitter) noexcept {
  retry_handshake_ = now + limits::rekey_timeout + jitter;
}

void Timers::handshake_complete() noexcept {
  retry_handshake_.reset();
  attempts_ = 0;
}

void Timers::session_derived(Timestamp now) noexcept {
  zero_keys_ = now + limits::zero_keys_time;
}

std::optional<Timestamp> Timers::deadline() const noexcept {
  std::optional<Timestamp> earliest;
  for (const auto* timer :
       {&retry_handshake_, &send_keepalive_, &new_handshake_, &zero_keys_, &persistent_keepalive_}) {
    if (*timer && (!earliest || **timer < *earliest)) earliest = *timer;
  }
  return earliest;
}

std::optional<TimerAction> Timers::expire(Timestamp now) noexcept {
  const std::optional<Timestamp> due = deadline();
  if (!due || *due > now) return std::nullopt;

  // Each timer is off before its action is taken: the action may arm it again.
  if (retry_handshake_ == due) {
    retry_handshake_.reset();
    if (attempts_ <= limits::max_timer_handshakes) {
      ++attempts_;
      return TimerAction::RetryHandshake;
    }
    send_keepalive_.reset();
    // Whatever a partial exchange left behind must go as well.
    if (!zero_keys_) zero_keys_ = now + limits::zero_keys_time;
    return TimerAction::GiveUpHandshake;
  }
  if (send_keepalive_ == due) {
    send_keepalive_.reset();
    if (std::exchange(need_another_keepalive_, false)) send_keepalive_ = now + limits::keepalive_timeout;
    return TimerAction::SendKeepalive;
  }
  if (new_handshake_ == due) {
    new_handshake_.reset();
    return TimerAction::StartHandshake;
  }
  if (zero_keys_ == due) {
    zero_keys_.reset();
    return TimerAction::ZeroKeys;
  }
  // Also when nothing can be sent now, because the last handshake was too lately: what the interval asks for goes on.
  persistent_keepalive_ = now + persistent_interval_;
  return TimerAction::PersistentKeepalive;
}

void Timers::stop() noexcept {
  retry_handshake_.reset();
  send_keepalive_.reset();
  new_handshake_.reset();
  zero_keys_.reset();
  persistent_keepalive_.reset();
  attempts_ = 0;
  need_another_keepalive_ = false;
}

}  // namespace culvert
