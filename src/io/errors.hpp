// How this folder reports what the kernel refused.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

#include "culvert/base/result.hpp"

namespace culvert {

/// Throws what `what` was refused with, so that what() reads "WHAT: REASON".
[[noreturn]] inline void throw_system_error(int error, const std::string& what) {
  throw std::system_error(error, std::system_category(), what);
}

/// errno as a value.
inline boost::system::error_code last_error() noexcept {
  return {errno, boost::system::system_category()};
}

}  // namespace culvert
