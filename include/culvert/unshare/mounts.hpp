// What a process in a mount namespace of its own sees differently from all others.
#pragma once

#include <string>
#include <vector>

namespace culvert {

// All calls are for processes in a mount namespace that nobody else is in, and that ends with them: nothing is undone.
// They throw std::system_error that names the path, unless they say otherwise.

/// To be called first: what is mounted here from now on is seen here alone. What others mount still arrives.
void keep_mounts_to_oneself();

/// To be called last: what is mounted here from now on is seen in mount namespaces made from this one, too, unless they
/// refuse.
void share_mounts_with_namespaces_within();

/// /proc shows the processes of the caller's PID namespace. False where the kernel does not allow that, as in a
/// container that hides parts of /proc; all is as before then.
bool mount_own_proc() noexcept;

/// /sys/class/net shows the links of the caller's network namespace; control groups stay where they are. False as
/// above.
bool mount_own_sys() noexcept;

/// Each of `folders`, paths below `top`, is empty from now on, also if it was not there or somebody else removes it and
/// makes it again, which would end a mount on it: `top` becomes a folder of memory with symbolic links to what was in
/// it.
void empty_folders(const std::string& top, const std::vector<std::string>& folders);

/// The path of the working folder, as a shell has it; empty if there is none.
[[nodiscard]] std::string working_folder();

/// Goes where `path` leads now, or to / if that is nowhere. Once folders are covered, relative paths would still lead
/// to what is below.
void return_to_working_folder(const std::string& path);

/// Of what is in `folder`, now or later, nothing can be reached any more. False if there is no such folder.
bool hide_folder(const std::string& folder);

/// The file `path`, or the one that a symbolic link there leads to, reads as `text` from now on, and cannot be written.
/// It need not exist: then its folder becomes one of symbolic links to what was in it.
void put_over(const std::string& path, const std::string& text);

}  // namespace culvert
