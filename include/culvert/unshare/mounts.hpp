// What a process in a mount namespace of its own sees differently from all others.
#pragma once

#include <string>

namespace culvert {

// All calls are for processes in a mount namespace that nobody else is in, and that ends with them: nothing is undone.
// They throw std::system_error that names the path, unless they say otherwise.

/// To be called first: what is mounted here from now on is seen here alone. What others mount still arrives.
void keep_mounts_to_oneself();

/// /proc shows the processes of the caller's PID namespace. False where the kernel does not allow that, as in a
/// container that hides parts of /proc; all is as before then.
bool mount_own_proc() noexcept;

/// /sys/class/net shows the links of the caller's network namespace; control groups stay where they are. False as
/// above.
bool mount_own_sys() noexcept;

/// Of what is in `folder`, now or later, nothing can be reached any more. False if there is no such folder.
bool hide_folder(const std::string& folder);

/// The file `path`, or the one that a symbolic link there leads to, reads as `text` from now on, and cannot be written.
/// It need not exist: then its folder becomes one of symbolic links to what was in it.
void put_over(const std::string& path, const std::string& text);

}  // namespace culvert
