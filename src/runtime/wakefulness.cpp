// Keeping processors awake during conversations.
#include "culvert/runtime/wakefulness.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "culvert/io/clock.hpp"
#include "rethrow.hpp"

namespace culvert {
namespace asio = boost::asio;
namespace {

// A round trip of a local network and somebody's typing of the next request by a program.
constexpr auto conversation_pause = std::chrono::milliseconds(5);

}  // namespace

bool WakefulnessBudget::may_begin(Timestamp now) noexcept {
  left_ = std::min(most, left_ + (now - as_of_) / share);
  as_of_ = now;
  return left_ >= enough_to_begin;
}

bool WakefulnessBudget::may_go_on(Timestamp now) noexcept {
  left_ -= now - as_of_;
  as_of_ = now;
  return left_ > std::chrono::nanoseconds(0);
}

Wakefulness::Wakefulness(asio::io_context& io, CpuLatencyRequest request, Timestamp now)
    : state_(std::make_shared<State>(io, std::move(request), now)) {
  asio::co_spawn(io, fall_asleep(state_), rethrow);
}

Wakefulness::~Wakefulness() {
  state_->is_over = true;
  if (state_->is_awake) state_->request.let_sleep();
  state_->timer.cancel();
}

void Wakefulness::heard(Timestamp now) noexcept {
  State& state = *state_;
  state.last = now;
  if (state.is_awake || !state.budget.may_begin(now)) return;
  state.is_awake = true;
  state.request.keep_awake();
  state.timer.expires_after(conversation_pause);
}

asio::awaitable<void> Wakefulness::fall_asleep(std::shared_ptr<State> state) {
  while (!state->is_over) {
    co_await state->timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (state->is_over) co_return;
    if (!state->is_awake) continue;
    const Timestamp now = read_clocks().time;
    if (now - state->last < conversation_pause && state->budget.may_go_on(now)) {
      state->timer.expires_after(conversation_pause);
      continue;
    }
    (void)state->budget.may_go_on(now);
    state->request.let_sleep();
    state->is_awake = false;
    state->timer.expires_at(asio::steady_timer::time_point::max());
  }
}

std::unique_ptr<Wakefulness> wakefulness_here(asio::io_context& io) {
  if (!processors_halt_in_hypervisor()) return nullptr;
  auto request = CpuLatencyRequest::open();
  if (!request) return nullptr;
  return std::make_unique<Wakefulness>(io, std::move(*request), read_clocks().time);
}

}  // namespace culvert
