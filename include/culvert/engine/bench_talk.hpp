// One peer's part of asking for a benchmark, and of being asked for one: when, not how (docs/protocol.md).
#pragma once

#include <chrono>
#include <optional>

#include "culvert/base/time.hpp"
#include "culvert/protocol/bench_consent.hpp"

namespace culvert {

namespace limits {
/// Between requests that nobody answered, and how close together a peer's are heard.
inline constexpr auto bench_request_interval = std::chrono::seconds(1);
inline constexpr auto bench_request_interval_min = std::chrono::milliseconds(500);
/// Between looks for a session, and for what the peer says of itself.
inline constexpr auto bench_session_interval = std::chrono::milliseconds(100);
/// For all of it.
inline constexpr auto bench_request_time = std::chrono::seconds(10);
}  // namespace limits

class BenchTalk {
 public:
  // Asking.

  /// From now on a request is due, until it is answered or limits::bench_request_time has passed. Another one that was
  /// under way is forgotten.
  void ask(const BenchNumber& number, Timestamp now) noexcept {
    asked_ = number;
    answered_.reset();
    due_ = now;
    until_ = now + limits::bench_request_time;
  }
  /// Whether the time has come to send it, or to find out why that is not possible. One of sent() and waited() follows.
  [[nodiscard]] bool is_due(Timestamp now) noexcept {
    if (due_ && now >= until_) stop_asking();
    return due_ && *due_ <= now;
  }
  [[nodiscard]] const BenchNumber& asked() const noexcept { return *asked_; }
  void sent(Timestamp now) noexcept { due_ = now + limits::bench_request_interval; }
  void waited(Timestamp now) noexcept { due_ = now + limits::bench_session_interval; }
  /// False for what answers no request of ours that is open.
  [[nodiscard]] bool answered(BenchAnswer&& answer) noexcept {
    if (!asked_ || !equal_in_constant_time(*asked_, answer.number)) return false;
    stop_asking();
    answered_ = std::move(answer);
    return true;
  }
  [[nodiscard]] std::optional<BenchAnswer> take_answer() noexcept { return std::exchange(answered_, std::nullopt); }

  // Being asked.

  /// False: too soon behind the one before.
  [[nodiscard]] bool heard(const BenchNumber& number, Timestamp now) noexcept {
    if (heard_at_ && now - *heard_at_ < limits::bench_request_interval_min) return false;
    heard_at_ = now;
    heard_ = number;
    return true;
  }
  [[nodiscard]] std::optional<BenchNumber> take_request() noexcept { return std::exchange(heard_, std::nullopt); }
  void answer(BenchAnswer&& answer, Timestamp now) noexcept {
    to_send_ = std::move(answer);
    answer_due_ = now;
  }
  [[nodiscard]] std::optional<BenchAnswer> take_answer_to_send() noexcept {
    answer_due_.reset();
    return std::exchange(to_send_, std::nullopt);
  }

  [[nodiscard]] std::optional<Timestamp> deadline() const noexcept { return answer_due_ ? answer_due_ : due_; }

 private:
  void stop_asking() noexcept {
    asked_.reset();
    due_.reset();
  }

  std::optional<BenchNumber> asked_;
  std::optional<Timestamp> due_;
  Timestamp until_;
  std::optional<BenchAnswer> answered_;
  std::optional<BenchNumber> heard_;
  std::optional<Timestamp> heard_at_;
  std::optional<BenchAnswer> to_send_;
  std::optional<Timestamp> answer_due_;
};

}  // namespace culvert
