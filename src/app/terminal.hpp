// What standard streams are shown on.
#pragma once

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <optional>

namespace culvert {

/// Of the terminal that descriptor `fd` is; nothing if it is none.
inline std::optional<std::size_t> columns_of(int fd) {
  winsize size{};
  if (::isatty(fd) != 1) return std::nullopt;
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col != 0 ? size.ws_col : std::size_t{80};
}

/// Unless it is none, or the user wants none (no-color.org).
inline bool shows_color(int fd) {
  return ::isatty(fd) == 1 && std::getenv("NO_COLOR") == nullptr;
}

}  // namespace culvert
