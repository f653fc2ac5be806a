// The line of progress.
#include "culvert/bench/progress.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "culvert/bench/figure_text.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

constexpr auto terminal_interval = 100ms;
constexpr auto plain_interval = 15s;
constexpr std::string_view erase_line = "\r\x1b[K";

/// The first `columns` characters.
std::string_view cut(std::string_view text, std::size_t columns) {
  std::size_t size = 0;
  while (size < text.size() && width_of(text.substr(0, size + 1)) <= columns) ++size;
  return text.substr(0, size);
}

std::string clock_text(std::chrono::seconds left) {
  const auto seconds = std::max<std::chrono::seconds::rep>(left.count(), 0);
  const std::string rest = std::to_string(seconds % 60);
  return std::to_string(seconds / 60) + (rest.size() == 1 ? ":0" : ":") + rest + " left";
}

}  // namespace

std::string progress_line(const ProgressState& state, std::size_t width) {
  // All but done is not done.
  const long percent = static_cast<long>(std::floor(std::clamp(state.share, 0.0, 1.0) * 100));
  const std::string begin = padded(std::to_string(percent), 3, true) + " %";
  const std::string end = state.left ? "  " + clock_text(*state.left) : "";
  const std::size_t taken = begin.size() + end.size() + 2;
  const std::string what = one_line(state.what);
  const std::string middle = width > taken && !what.empty() ? "  " + std::string(cut(what, width - taken)) : "";
  return std::string(cut(begin + middle + end, width));
}

Progress::Progress(std::function<void(std::string_view)> write, std::optional<std::size_t> width)
    : write_(std::move(write)), width_(width) {}

void Progress::show(const ProgressState& state, Time now) {
  if (width_) {
    if (is_on_screen_ && shown_ && now - *shown_ < terminal_interval) return;
    // In the last column a terminal would begin another line.
    write_(std::string(erase_line) + progress_line(state, *width_ > 0 ? *width_ - 1 : 0));
    is_on_screen_ = true;
  } else {
    const int tenths = static_cast<int>(std::clamp(state.share, 0.0, 1.0) * 10);
    if (shown_ && tenths == tenths_ && now - *shown_ < plain_interval) return;
    tenths_ = tenths;
    write_(progress_line(state) + "\n");
  }
  shown_ = now;
}

void Progress::clear() {
  if (is_on_screen_) write_(erase_line);
  is_on_screen_ = false;
}

}  // namespace culvert
