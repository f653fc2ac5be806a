// Where the control sockets of tunnels are: those of the system's, and those of commands behind a tunnel.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace culvert {

/// Where WireGuard's tools look for sockets.
inline constexpr std::string_view control_socket_folder = "/var/run/wireguard";

/// Where the caller's tunnels that have no name of their own have their sockets: root's in control_socket_folder,
/// another user's in $XDG_RUNTIME_DIR/culvert; nothing if he has no such variable.
[[nodiscard]] std::optional<std::string> own_control_folder();
/// The same, made if missing; others than root alone may look into theirs. Nothing if that cannot be.
[[nodiscard]] std::optional<std::string> make_own_control_folder();
/// All folders with sockets that the caller may look for; they need not exist.
[[nodiscard]] std::vector<std::string> control_folders();
/// Those in which nobody but root or the caller can have put a socket, as one in /tmp could be made by anybody first.
[[nodiscard]] std::vector<std::string> trusted_control_folders();

/// How the tunnel of a command is called, as there may be many with the same file: "exec-PID" of `culvert exec`.
[[nodiscard]] std::string name_of_exec(pid_t pid);
/// From the name of such a tunnel's socket.
[[nodiscard]] std::optional<pid_t> pid_of_exec(std::string_view socket_name);
/// Removes sockets of such tunnels whose processes were killed.
void sweep_control_folder(const std::string& folder) noexcept;

}  // namespace culvert
