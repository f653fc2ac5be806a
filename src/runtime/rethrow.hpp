// What becomes of exceptions in coroutines that nobody awaits.
#pragma once

#include <exception>

namespace culvert {

/// For asio::co_spawn: lets an exception out of io_context::run(). asio::detached would lose it together with the
/// coroutine, and the program would go on without, say, receiving.
inline constexpr auto rethrow = [](std::exception_ptr thrown) {
  if (thrown) std::rethrow_exception(thrown);
};

}  // namespace culvert
