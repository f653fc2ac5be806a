// The other end of a tunnel's control socket.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "culvert/runtime/wiped_string.hpp"

namespace culvert {

/// The file of tunnel `name`'s control socket, in the first of trusted_control_folders() that has it, or would have it.
[[nodiscard]] std::string control_socket_of(const std::string& name);
/// Sends `request` to the control socket of tunnel `name` and returns the answer up to and with its "errno=" line; it
/// may hold keys. Waits up to `patience` for each piece. Throws std::system_error when nobody serves the socket,
/// std::runtime_error for an answer that ends early.
[[nodiscard]] WipedString ask_tunnel(const std::string& name, std::string_view request,
                                     std::chrono::seconds patience = std::chrono::seconds(10));
/// The same of the socket file `path`, if it is process `server` that serves it; otherwise nothing is asked and there
/// is no answer. All of it, 64 MiB at most, has to come within `patience`.
[[nodiscard]] std::optional<WipedString> ask_process(const std::string& path, pid_t server, std::string_view request,
                                                     std::chrono::seconds patience = std::chrono::seconds(10));

}  // namespace culvert
