// Threads that end before whoever started them goes on.
#pragma once

#include <cstddef>
#include <future>
#include <stop_token>
#include <utility>
#include <vector>

namespace culvert {

/// A thread whose result, or what it threw, is in the future, which joins it when it goes.
template <class Act>
[[nodiscard]] auto in_thread(Act&& act) {
  return std::async(std::launch::async, std::forward<Act>(act));
}

/// Asks threads to stop when it goes: to be declared after what joins them, so that none is waited for in vain when
/// something throws.
class StopAtEnd {
 public:
  StopAtEnd() = default;
  ~StopAtEnd() { source_.request_stop(); }
  StopAtEnd(const StopAtEnd&) = delete;
  StopAtEnd& operator=(const StopAtEnd&) = delete;
  void stop() noexcept { source_.request_stop(); }

  /// Calls act(token) there. A thread may begin to run only when this object is gone already: it has a token of its
  /// own.
  template <class Act>
  [[nodiscard]] auto in_thread(Act&& act) const {
    return culvert::in_thread([act = std::forward<Act>(act), token = source_.get_token()] { return act(token); });
  }

 private:
  std::stop_source source_;
};

/// The sum of act(0) … act(count − 1), each called on a thread of its own. Throws what one of them threw, when all have
/// ended.
template <class Act>
std::uint64_t sum_in_threads(std::size_t count, const Act& act) {
  std::vector<std::future<std::uint64_t>> others;
  for (std::size_t i = 1; i < count; ++i) {
    others.push_back(in_thread([&act, i] { return act(i); }));
  }
  std::uint64_t sum = act(0);
  for (auto& other : others) sum += other.get();
  return sum;
}

}  // namespace culvert
