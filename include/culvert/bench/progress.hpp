// How far a benchmark has come.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>

namespace culvert {

struct ProgressState {
  double share = 0;  ///< of the whole, 0 to 1
  std::string what;  ///< what is measured at the moment: "tun, aes-256-gcm, tcp-up"
  std::optional<std::chrono::seconds> left;
};

/// " 42 %  tun, aes-256-gcm, tcp-up  1:07 left", of `width` columns at most: `what` is cut where there is no room.
[[nodiscard]] std::string progress_line(const ProgressState& state, std::size_t width = 80);

/// Shows it on a terminal in one line that is written over, elsewhere in a line now and then. One thread.
class Progress {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// Writes through `write`. `width`: the terminal's columns; none: it is no terminal.
  Progress(std::function<void(std::string_view)> write, std::optional<std::size_t> width);

  /// On a terminal ten times a second at most; elsewhere when another tenth is done or 15 seconds have passed.
  void show(const ProgressState& state, Time now);
  /// Takes the line away from a terminal, so that something else can be written. The next show() writes it again.
  void clear();

 private:
  std::function<void(std::string_view)> write_;
  std::optional<std::size_t> width_;
  std::optional<Time> shown_;
  int tenths_ = -1;
  bool is_on_screen_ = false;
};

}  // namespace culvert
