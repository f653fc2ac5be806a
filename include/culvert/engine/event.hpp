// What the engine tells the runtime, for it to log and act upon.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "culvert/forwarding/prefix_table.hpp"

namespace culvert {

enum class EventKind {
  InitiationSent,       ///< a handshake was begun by us
  SessionEstablished,   ///< a handshake is complete and confirmed
  HandshakeUnanswered,  ///< no response in time; another initiation was sent
  HandshakeAbandoned,   ///< no response to any attempt; waits for traffic to try again
  EndpointMoved,        ///< an authenticated packet came from elsewhere
  KeysExpired,          ///< all session keys were wiped for age
  Agreed,               ///< the peer said hello for the first time in a session, and carries what we carry
  ModeMismatch,         ///< it said that it carries something else, or a switched device waited for a hello in vain
  LoopBlocked,          ///< our own probe came back: frames from and to the peer are dropped
  LoopEnded,            ///< they are not any more
  RouteWanted,          ///< to be told by Engine::set_route_mtu() what the route to the peer carries
  CipherMismatch,       ///< a message under a session that has opened none is of another suite; perhaps forged
  BenchAsked,           ///< for a benchmark: Engine::take_bench_request()
  BenchAnswered,        ///< Engine::take_bench_answer()
};

struct Event {
  EventKind kind;
  PeerId peer;
  friend bool operator==(const Event&, const Event&) = default;
};

/// The newest events, oldest first; when full the oldest goes.
class EventQueue {
 public:
  void push(const Event& event) noexcept {
    if (count_ == events_.size()) (void)poll();
    events_[(first_ + count_++) % events_.size()] = event;
  }
  /// Unless that is the newest already: for what anybody can bring about, which must not push out other events.
  void push_once(const Event& event) noexcept {
    if (count_ == 0 || events_[(first_ + count_ - 1) % events_.size()] != event) push(event);
  }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  std::optional<Event> poll() noexcept {
    if (count_ == 0) return std::nullopt;
    const Event event = events_[first_];
    first_ = (first_ + 1) % events_.size();
    --count_;
    return event;
  }

 private:
  std::array<Event, 256> events_{};
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace culvert
