// How this folder reports what the kernel refused.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace culvert {

/// Throws errno, so that what() reads "WHAT: REASON".
[[noreturn]] inline void throw_refused(const std::string& what) {
  throw std::system_error(errno, std::system_category(), what);
}

/// Of a blocking socket: it waited as long as it may, or a signal came. What was asked for can be asked for again.
inline bool is_nothing_yet(int error) noexcept {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

}  // namespace culvert
