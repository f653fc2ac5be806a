// A child process in namespaces of its own.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "culvert/io/unique_fd.hpp"
#include "culvert/unshare/channel.hpp"

namespace culvert {

/// Who the caller is in the child's user namespace. Nobody else has a number there.
enum class IdMap : std::uint8_t {
  None,  ///< there is no new user namespace; this needs CAP_SYS_ADMIN
  Own,   ///< who he is outside: a program that the child starts has no capabilities
  Root,  ///< 0: a program that the child starts has all capabilities over the child's namespaces, and none outside
};

/// None for whoever may make namespaces without a user namespace and come back (CAP_SYS_ADMIN over those he is in),
/// else `otherwise`.
[[nodiscard]] IdMap id_map_if_needed(IdMap otherwise);

/// Which namespaces are new.
struct NewNamespaces {
  bool network = true;
  bool mounts = true;
  bool processes = true;  ///< the child is process 1 of it, so that nothing in it outlives the child
  bool host_name = false;
  bool ipc = false;
  IdMap ids = IdMap::None;
};

/// Why the kernel refused (`error` is its errno value) to make namespaces, and what to do about it: the settings below
/// `sysctls` that forbid them, or else what usually does. Empty for an error that has nothing to do with that.
[[nodiscard]] std::string hint_for_namespaces(int error, const std::string& sysctls = "/proc/sys");

/// Owns the child: ends it with SIGKILL, and with it all that is in its PID namespace, and waits for that. Move-only.
class UnsharedChild {
 public:
  /// What the child does; its result is its exit status. What it throws goes to the parent as message kind_failure
  /// with what() as text, and the child ends with status_failed.
  using Life = std::function<int(Channel& parent)>;
  static constexpr char kind_failure = 'F';
  static constexpr int status_failed = 125;

  /// Starts it: a copy of this process (which must have one thread alone, see fork(2)), in new namespaces, killed by
  /// the kernel when this thread ends, whichever way. Throws std::system_error that says what forbids it.
  [[nodiscard]] static UnsharedChild start(const NewNamespaces& namespaces, const Life& life);
  ~UnsharedChild();
  UnsharedChild(UnsharedChild&& other) noexcept;
  UnsharedChild& operator=(UnsharedChild&&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Readable once it has ended.
  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }
  [[nodiscard]] Channel& channel() noexcept { return channel_; }

  /// Waits for a message of this kind. Throws std::runtime_error with the text of a kind_failure, or saying that the
  /// child has ended; other messages are lost.
  [[nodiscard]] ChannelMessage await(char kind);
  /// Waits for its end, and so for that of all in its PID namespace. 128 + the signal's number if one killed it.
  int wait();

 private:
  UnsharedChild(pid_t pid, Channel channel);
  pid_t pid_ = -1;  ///< -1: moved from, or waited for
  UniqueFd pidfd_;
  Channel channel_;
  int status_ = 0;
};

/// waitpid()'s word as a shell's: the exit status, or 128 + the signal's number.
[[nodiscard]] int shell_status(int wait_status) noexcept;

}  // namespace culvert
