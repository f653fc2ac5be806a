// Telling the far end what to do, and hearing what came of it.
#include "far_end.hpp"

#include <algorithm>
#include <stdexcept>

#include "culvert/bench/trial.hpp"

namespace culvert {

namespace {

using namespace std::chrono_literals;
using Kind = RoleMessage::Kind;

}  // namespace

void FarEnd::lose(std::string why) {
  lost_ = std::move(why);
  throw PathLost(lost_);
}

void FarEnd::greet(const BenchToken& token) {
  try {
    channel_.send(token.bytes());
  } catch (const std::exception& error) {
    lose(error.what());
  }
  while (hear(patience_).kind != Kind::Ready) {
  }
}

void FarEnd::send(const RoleMessage& message) {
  if (!lost_.empty()) throw PathLost(lost_);
  try {
    channel_.send(message);
  } catch (const std::exception& error) {
    lose(error.what());
  }
}

void FarEnd::say_stop(const Key& key, std::uint64_t sent) {
  RoleMessage message;
  message.kind = Kind::Stop;
  message.role = key.first;
  message.trial = key.second;
  message.numbers[0] = sent;
  send(message);
}

void FarEnd::abandon(const Key& key) noexcept {
  const auto found = roles_.find(key);
  if (found == roles_.end() || !lost_.empty()) return;
  if (found->second.done) {
    roles_.erase(found);
    return;
  }
  found->second.is_abandoned = true;
  try {
    say_stop(key, 0);
  } catch (const std::exception&) {
    // Whoever uses it next is told.
  }
}

RoleMessage FarEnd::hear(std::chrono::milliseconds time) {
  if (!lost_.empty()) throw PathLost(lost_);
  std::optional<RoleMessage> message;
  try {
    message = channel_.receive(time);
  } catch (const std::exception& error) {
    lose(error.what());
  }
  if (!message) lose("the other end of the benchmark does not answer any more: is the tunnel still up?");
  if (message->kind == Kind::Ended) lose("the other end has ended the benchmark: " + message->text);
  return std::move(*message);
}

void FarEnd::take(RoleMessage&& message) {
  const auto found = roles_.find({message.role, message.trial});
  if (found == roles_.end()) return;
  State& state = found->second;
  if (message.kind == Kind::Started) state.started = std::move(message);
  if (message.kind != Kind::Done && message.kind != Kind::Failed) return;
  const bool is_abandoned = state.is_abandoned;
  if (message.kind == Kind::Done && !is_abandoned) {
    state.done = std::move(message);
    return;
  }
  roles_.erase(found);
  if (!is_abandoned) throw std::runtime_error("at the other end: " + message.text);
}

template <class IsEnough>
void FarEnd::hear_until(const IsEnough& is_enough, std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (!is_enough()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    take(hear(std::max(left, 0ms)));
  }
}

FarEnd::Role::Role(FarEnd& far, RoleMessage start) : Role(far, Key(start.role, start.trial)) {
  const auto has_room = [&far] {
    return std::ranges::none_of(far.roles_, [](const auto& role) { return role.second.is_abandoned; });
  };
  far.hear_until(has_room, far.patience_);
  start.kind = Kind::Start;
  State& state = far.roles_[key_];
  far.send(start);
  far.hear_until([&state] { return state.started.has_value(); }, far.patience_);
  port_ = state.started->port;
}

RoleMessage FarEnd::Role::finish(std::chrono::milliseconds time) {
  State& state = far_.roles_.at(key_);
  far_.hear_until([&state] { return state.done.has_value(); }, time + far_.patience_);
  RoleMessage done = std::move(*state.done);
  far_.roles_.erase(key_);
  return done;
}

}  // namespace culvert
