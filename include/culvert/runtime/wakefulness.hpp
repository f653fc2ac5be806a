// Keeping processors awake during conversations, where a wake-up takes longer than all the rest of a round trip.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "culvert/base/time.hpp"
#include "culvert/io/cpu_latency.hpp"

namespace culvert {

/// How long processors may be kept awake: a tenth of the time, in pieces of two seconds at most, so that somebody's
/// shell answers faster while a day of such packets costs little. Time is an argument and never goes back.
class WakefulnessBudget {
 public:
  static constexpr std::chrono::nanoseconds most = std::chrono::seconds(2);
  static constexpr std::chrono::nanoseconds enough_to_begin = std::chrono::milliseconds(100);
  static constexpr int share = 10;

  explicit WakefulnessBudget(Timestamp now) noexcept : as_of_(now) {}

  /// Whether it is worth to begin after having slept until now.
  [[nodiscard]] bool may_begin(Timestamp now) noexcept;
  /// Whether anything is left after having been awake until now.
  [[nodiscard]] bool may_go_on(Timestamp now) noexcept;

 private:
  std::chrono::nanoseconds left_ = most;
  Timestamp as_of_;
};

/// Takes packets that come one at a time for a conversation, and keeps processors awake until none has come for 5 ms.
/// Lives on the thread that runs `io`, which has stopped when it is destroyed.
class Wakefulness {
 public:
  Wakefulness(boost::asio::io_context& io, CpuLatencyRequest request, Timestamp now);
  ~Wakefulness();
  Wakefulness(const Wakefulness&) = delete;
  Wakefulness& operator=(const Wakefulness&) = delete;

  /// There was such a packet. A system call at the beginning of a conversation only.
  void heard(Timestamp now) noexcept;
  [[nodiscard]] bool is_awake() const noexcept { return state_->is_awake; }

 private:
  /// Shared with the coroutine, whose frame may live as long as the io_context.
  struct State {
    State(boost::asio::io_context& io, CpuLatencyRequest&& its_request, Timestamp now)
        : timer(io, boost::asio::steady_timer::time_point::max()), request(std::move(its_request)), budget(now) {}
    boost::asio::steady_timer timer;
    CpuLatencyRequest request;
    WakefulnessBudget budget;
    Timestamp last{};
    bool is_awake = false;
    bool is_over = false;
  };
  static boost::asio::awaitable<void> fall_asleep(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

/// Nothing where it does no good or is not permitted: processors of a real machine wake up by themselves fast enough,
/// and awake they would take its power.
[[nodiscard]] std::unique_ptr<Wakefulness> wakefulness_here(boost::asio::io_context& io);

}  // namespace culvert
