// What a call returns that can fail in an expected way.
#pragma once

#include <boost/system/result.hpp>
#include <exception>

#include "culvert/base/drop_reason.hpp"

namespace culvert {

/// A value, or the system error that prevented it. For expected I/O conditions on paths that do not throw.
template <class T>
using Result = boost::system::result<T>;

/// A value, or the reason why the packet at hand is dropped.
template <class T>
using Verdict = boost::system::result<T, DropReason>;

/// Asking a Verdict that holds a DropReason for its value is a bug of ours: terminates.
[[noreturn]] inline void throw_exception_from_error(DropReason, const boost::source_location&) noexcept {
  std::terminate();
}

}  // namespace culvert
