// The other end of a tunnel's control socket.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "culvert/runtime/wiped_string.hpp"

namespace culvert {

/// Sends `request` to the control socket of tunnel `name` and returns the answer up to and with its "errno=" line; it
/// may hold keys. Waits up to `patience` for each piece. Throws std::system_error when nobody serves the socket,
/// std::runtime_error for an answer that ends early.
[[nodiscard]] WipedString ask_tunnel(const std::string& name, std::string_view request,
                                     std::chrono::seconds patience = std::chrono::seconds(10));

}  // namespace culvert
