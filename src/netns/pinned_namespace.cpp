// Binding network namespaces to files.
#include "culvert/netns/pinned_namespace.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <thread>

#include "culvert/io/claimed_file.hpp"
#include "culvert/io/record_folder.hpp"
#include "culvert/netns/named_namespaces.hpp"

namespace culvert {

namespace {

// Others may have bound a second namespace over the first.
constexpr unsigned most_mounts_on_a_file = 16;
constexpr std::string_view text_of_unfinished =
    "culvert was about to bind a network namespace to this file; without that it may be removed\n";

[[noreturn]] void fail(int error, const std::string& what) {
  const bool needs_root = error == EPERM || error == EACCES;
  throw std::system_error(error, std::system_category(), needs_root ? what + " (this needs root)" : what);
}

void bind_to_file(const NetworkNamespace& space, const std::string& path) {
  const std::string source = "/proc/self/fd/" + std::to_string(space.fd());
  if (::mount(source.c_str(), path.c_str(), "none", MS_BIND, nullptr) < 0) {
    fail(errno, "cannot bind " + describe(space) + " to " + path);
  }
}

bool remove_if_abandoned(const std::string& path) {
  struct stat status {};
  const bool may_be = ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
                      static_cast<std::size_t>(status.st_size) == text_of_unfinished.size();
  const auto file = may_be ? take_deserted_file(path) : std::nullopt;
  return file && file->text == text_of_unfinished && ::unlink(path.c_str()) == 0;
}

/// Marked as unfinished as long as the result is open, and then still if nobody lived to finish it.
UniqueFd make_file(const NetworkNamespace& space, const std::string& path) {
  remove_if_abandoned(path);
  auto file = make_claimed_file(path, text_of_unfinished, 0);
  if (file) return *std::move(file);
  std::string what = "cannot pin " + describe(space) + " at " + path;
  if (file.error().value() == EEXIST) what += " (the name is taken)";
  fail(file.error().value(), what);
}

// As iproute2 does it: mounts made below are then seen in other mount namespaces, too, and taken away there as well.
void share_names_folder() {
  const std::string folder(named_namespaces_folder);
  const std::string what = "cannot make " + folder + " the folder of named network namespaces";
  if (::mkdir(folder.c_str(), 0755) < 0 && errno != EEXIST) fail(errno, what);
  const UniqueFd lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock.is_open()) fail(errno, what);
  // Two at a time would mount it twice, and each mount below doubles the number.
  while (::flock(lock.get(), LOCK_EX) < 0) {
    if (errno != EINTR) fail(errno, what);
  }
  if (::mount("", folder.c_str(), "none", MS_SHARED | MS_REC, nullptr) == 0) return;
  if (errno != EINVAL) fail(errno, what);
  // It is no mount yet.
  if (::mount(folder.c_str(), folder.c_str(), "none", MS_BIND | MS_REC, nullptr) < 0) fail(errno, what);
  if (::mount("", folder.c_str(), "none", MS_SHARED | MS_REC, nullptr) < 0) fail(errno, what);
}

void unmount_all(const std::string& path) {
  for (unsigned count = 0; count < most_mounts_on_a_file; ++count) {
    if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) continue;
    if (errno == EINVAL) return;
    fail(errno, "cannot take the network namespace off " + path);
  }
}

/// Removing a file ends what others have mounted on it; only a mount that the caller sees himself is in the way. So
/// who looks from a mount namespace without it removes both at once, and no kill leaves one without the other.
void remove_with_mounts(const std::string& path) {
  std::exception_ptr failure;
  std::thread([&] {
    try {
      if (::unshare(CLONE_NEWNS) < 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
        fail(errno, "cannot remove " + path);
      }
      unmount_all(path);
      if (::unlink(path.c_str()) < 0) fail(errno, "cannot remove " + path);
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

void pin(Steps& steps, const NetworkNamespace& space, const std::string& path) {
  UniqueFd file;
  steps.run(
      "make the file " + path, [&] { file = make_file(space, path); }, [path] { ::unlink(path.c_str()); });
  steps.run(
      "bind the network namespace to it",
      [&] {
        bind_to_file(space, path);
        // Where the mount is not seen the file is, and nobody must take it for unfinished.
        [[maybe_unused]] const int done = ::ftruncate(file.get(), 0);
      },
      [path] { ::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW); });
}

}  // namespace

PinnedNamespace PinnedNamespace::at(const std::string& path, NetworkNamespace space, const StepHook& before_step) {
  const std::string absolute = std::filesystem::absolute(path);
  Steps steps(before_step);
  pin(steps, space, absolute);
  steps.keep();
  return {absolute, std::move(space)};
}

PinnedNamespace PinnedNamespace::named(const std::string& name, NetworkNamespace space, const StepHook& before_step) {
  check_namespace_name(name);
  const std::string path = path_of_named(name);
  Steps steps(before_step);
  // Not undone: somebody else may have begun to use it.
  steps.run("share the folder of names", share_names_folder);
  pin(steps, space, path);
  steps.keep();
  return {path, std::move(space)};
}

PinnedNamespace::PinnedNamespace(PinnedNamespace&& other) noexcept
    : path_(std::move(other.path_)), space_(std::move(other.space_)), is_kept_(std::exchange(other.is_kept_, true)) {}

PinnedNamespace::~PinnedNamespace() {
  if (is_kept_) return;
  try {
    const auto there = identity_at(path_);
    if (there && *there != space_.identity()) return;
    remove_pin(path_);
  } catch (const std::exception&) {
    // Somebody removed it before.
  }
}

void remove_pin(const std::string& path, const StepHook& before_step) {
  const std::string absolute = std::filesystem::absolute(path);
  Steps steps(before_step);
  steps.run("remove " + absolute + " with what is bound to it", [&] { remove_with_mounts(absolute); });
  steps.keep();
}

void remove_abandoned_names() {
  const std::string folder(named_namespaces_folder);
  for (const std::string& name : names_in(folder)) remove_if_abandoned(path_of_named(name));
}

}  // namespace culvert
