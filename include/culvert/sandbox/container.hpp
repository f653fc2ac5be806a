// A command in namespaces of its own, connected or not.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "culvert/sandbox/connection.hpp"
#include "culvert/unshare/child.hpp"

namespace culvert {

/// What surrounds the command.
struct ContainerWish {
  std::vector<std::string> command;  ///< not empty
  std::string host_name = "sandbox";
  bool is_isolated = false;
  std::vector<std::string> writable;  ///< of an isolated one: paths that are not read-only
  std::vector<std::string> hidden;    ///< of an isolated one: folders in which it finds nothing, besides /run
  bool has_own_network = true;        ///< else it stays in the caller's, which its user namespace must own
  /// Of a network of its own; nothing: it has nothing but "lo". Something takes whoever has CAP_NET_ADMIN and
  /// CAP_SYS_ADMIN. Completed.
  std::optional<ConnectionWish> connection;
  IdMap ids = IdMap::None;
};

struct ContainerOptions {
  /// Its `before_step` is told the child's steps, too, there.
  ConnectionOptions connection;
  /// Told how the link is called and addressed, when it is there.
  std::function<void(const Connection&)> on_connection;
  /// Called in the command's process at last.
  std::function<void()> before_exec;
  /// Told the signal that ended the command, if this process got it, too (HeldSignals::common_end).
  std::function<void(int)> on_common_end;
};

/// Makes the calling process the inhabitant of its new mount, PID, network, UTS and IPC namespaces: host name, /proc,
/// /sys, "lo", and for an isolated one what isolation takes away. Throws std::exception.
void settle(const ContainerWish& wish, const StepHook& before_step = {});

/// Runs the command as process 1 of new UTS, PID, mount, IPC and network namespaces, and a user namespace if the wish
/// says so: the child settles and waits on a channel until its connection is up and addressed. Returns when all
/// processes inside have ended, with the command's status as a shell has it. Throws std::exception when there was no
/// command, because something could not be done; in any case nothing is left. To be called by a process with one
/// thread; ends with SIGKILL to this process end the command, too.
int run_container(const ContainerWish& wish, const ContainerOptions& options = {});

/// For a process that is about to run another program: runs the container instead, with what that program would have
/// had, descriptors without close-on-exec and no signals held back, and ends with its status, or with 125 and a message
/// on standard error.
[[noreturn]] void end_as_container(const ContainerWish& wish, const ContainerOptions& options = {}) noexcept;

}  // namespace culvert
