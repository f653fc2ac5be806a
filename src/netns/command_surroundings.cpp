// Entering a network namespace together with what belongs to it in the file system.
#include "culvert/netns/command_surroundings.hpp"

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "culvert/io/record_folder.hpp"
#include "culvert/netns/named_namespaces.hpp"

namespace culvert {

namespace {

[[noreturn]] void fail(int error, const NetworkNamespace& space, const std::string& what) {
  throw std::system_error(error, std::system_category(),
                          "for a command in " + describe(space) + ": " + what +
                              (error == EPERM ? " (this needs root or CAP_SYS_ADMIN)" : ""));
}

// The kernel shows in it the links of the namespace in which it was mounted. It refuses a writable one over one that is
// not.
void mount_sys(const NetworkNamespace& space) {
  struct statvfs present {};
  const bool is_read_only = ::statvfs("/sys", &present) == 0 && (present.f_flag & ST_RDONLY) != 0;
  const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | (is_read_only ? MS_RDONLY : 0);
  if (::mount("sysfs", "/sys", "sysfs", flags, nullptr) < 0) fail(errno, space, "cannot mount /sys");
}

void lay_over(const NetworkNamespace& space, const std::string& from, const std::string& to) {
  if (::mount(from.c_str(), to.c_str(), "none", MS_BIND, nullptr) == 0) return;
  const int error = errno;
  fail(error, space, "cannot put " + from + " over " + to + (error == ENOENT ? " (which must be there)" : ""));
}

}  // namespace

void enter_for_command(const NetworkNamespace& space, const StepHook& before_step) {
  Steps steps(before_step);
  steps.run("enter the network namespace", [&] {
    if (::setns(space.fd(), CLONE_NEWNET) < 0) fail(errno, space, "cannot enter it");
  });
  steps.run("make a mount namespace", [&] {
    if (::unshare(CLONE_NEWNS) < 0) fail(errno, space, "cannot make a mount namespace");
    // Mounts from outside are still seen in it, those made here are not seen outside.
    if (::mount("", "/", "none", MS_SLAVE | MS_REC, nullptr) < 0) fail(errno, space, "cannot make mounts private");
  });
  steps.run("mount /sys", [&] { mount_sys(space); });
  const std::string& name = space.specification();
  if (name.empty() || name.starts_with('/') || name.starts_with("pid:")) return;
  const std::string folder = "/etc/netns/" + name;
  std::vector<std::string> files = names_in(folder);
  std::ranges::sort(files);
  for (const std::string& file : files) {
    steps.run("put " + file + " over that of /etc", [&] { lay_over(space, folder + "/" + file, "/etc/" + file); });
  }
}

}  // namespace culvert
