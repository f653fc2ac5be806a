// Starting a child in new namespaces, and its user and group numbers.
#include "culvert/unshare/child.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace culvert {

namespace {

unsigned long flags_of(const NewNamespaces& namespaces) {
  unsigned long flags = SIGCHLD;
  if (namespaces.network) flags |= CLONE_NEWNET;
  if (namespaces.mounts) flags |= CLONE_NEWNS;
  if (namespaces.processes) flags |= CLONE_NEWPID;
  if (namespaces.host_name) flags |= CLONE_NEWUTS;
  if (namespaces.ipc) flags |= CLONE_NEWIPC;
  if (namespaces.ids != IdMap::None) flags |= CLONE_NEWUSER;
  return flags;
}

[[noreturn]] void refuse(int error, const std::string& what) {
  throw std::system_error(error, std::system_category(), what + hint_for_namespaces(error));
}

void write_file(const char* path, const std::string& text) {
  const UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC));
  if (!file.is_open() || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    refuse(errno, "cannot take over the own user and group number in a new user namespace (" + std::string(path) + ")");
  }
}

void map_ids(IdMap map, uid_t uid, gid_t gid) {
  // Files in /proc of a process that nobody may look into belong to root.
  const int was_dumpable = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  const auto line = [map](unsigned outside) {
    return std::to_string(map == IdMap::Root ? 0 : outside) + " " + std::to_string(outside) + " 1";
  };
  // Else the kernel does not let an ordinary user map his group: groups can take rights away, too.
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", line(uid));
  write_file("/proc/self/gid_map", line(gid));
  ::prctl(PR_SET_DUMPABLE, was_dumpable, 0, 0, 0);
}

[[noreturn]] void live(const NewNamespaces& namespaces, uid_t uid, gid_t gid, Channel parent,
                       const UnsharedChild::Life& life) {
  int status = UnsharedChild::status_failed;
  try {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || parent.is_other_end_closed()) ::_exit(status);
    if (namespaces.ids != IdMap::None) map_ids(namespaces.ids, uid, gid);
    status = life(parent);
  } catch (const std::exception& error) {
    try {
      parent.send(UnsharedChild::kind_failure, error.what());
    } catch (const std::exception&) {
      // Nobody is left to be told.
    }
  }
  ::_exit(status);
}

std::string setting(const std::string& folder, const std::string& name) {
  std::string value;
  std::ifstream(folder + "/" + name) >> value;
  return value;
}

/// Whether capabilities count in the caller's network namespace: not in a user namespace that was made inside of it.
bool owns_network() noexcept {
  const UniqueFd network(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!network.is_open()) return true;
  const UniqueFd owner(::ioctl(network.get(), NS_GET_USERNS));
  return owner.is_open() || errno != EPERM;
}

}  // namespace

IdMap id_map_if_needed(IdMap otherwise) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return otherwise;
  const bool is_capable = (sets[0].effective & (1U << CAP_SYS_ADMIN)) != 0;
  return is_capable && owns_network() ? IdMap::None : otherwise;
}

std::string hint_for_namespaces(int error, const std::string& sysctls) {
  const bool is_refusal = error == EPERM || error == EACCES;
  if (!is_refusal && error != ENOSPC && error != EUSERS && error != EINVAL && error != ENOSYS) return "";
  if (setting(sysctls, "kernel/unprivileged_userns_clone") == "0") {
    return " (user namespaces are for root alone here; as root: sysctl kernel.unprivileged_userns_clone=1)";
  }
  if (is_refusal && setting(sysctls, "kernel/apparmor_restrict_unprivileged_userns") == "1") {
    return " (AppArmor keeps user namespaces from programs without a profile; as root: sysctl "
           "kernel.apparmor_restrict_unprivileged_userns=0, or a profile for culvert in /etc/apparmor.d with the line "
           "'userns,')";
  }
  for (const char* kind : {"user", "net", "mnt", "pid", "uts", "ipc"}) {
    const std::string name = "max_" + std::string(kind) + "_namespaces";
    if (setting(sysctls, "user/" + name) == "0") {
      return " (" + std::string(kind) + " namespaces are forbidden here; as root: sysctl user." + name + "=10000)";
    }
  }
  if (error == ENOSPC || error == EUSERS) {
    return " (there are as many namespaces as may be, or one in the other too often: see sysctl -a --pattern "
           "'user.max_.*_namespaces')";
  }
  if (is_refusal) {
    return " (something forbids namespaces to this user: run as root; in a container start it with '--privileged', or "
           "with '--security-opt seccomp=unconfined' and '--cap-add SYS_ADMIN')";
  }
  return " (the kernel has been built without one of network, mount, PID and user namespaces)";
}

UnsharedChild UnsharedChild::start(const NewNamespaces& namespaces, const Life& life) {
  auto [own, of_child] = Channel::make_pair();
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  // Not fork() and unshare(): only a child that is made with it is process 1 of a PID namespace.
  const long pid = ::syscall(SYS_clone, flags_of(namespaces), nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) refuse(errno, "cannot make new namespaces");
  if (pid == 0) {
    own = Channel();
    live(namespaces, uid, gid, std::move(of_child), life);
  }
  return UnsharedChild(static_cast<pid_t>(pid), std::move(own));
}

UnsharedChild::UnsharedChild(pid_t pid, Channel channel)
    : pid_(pid), pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))), channel_(std::move(channel)) {}

UnsharedChild::UnsharedChild(UnsharedChild&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      channel_(std::move(other.channel_)),
      status_(other.status_) {}

UnsharedChild::~UnsharedChild() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  wait();
}

ChannelMessage UnsharedChild::await(char kind) {
  while (auto message = channel_.receive()) {
    if (message->kind == kind) return std::move(*message);
    if (message->kind == kind_failure) throw std::runtime_error(message->text);
  }
  throw std::runtime_error("process " + std::to_string(pid_) + ", which was making namespaces ready, has ended");
}

int UnsharedChild::wait() {
  if (pid_ < 0) return status_;
  int status = 0;
  pid_t ended = 0;
  do {
    ended = ::waitpid(pid_, &status, 0);
  } while (ended < 0 && errno == EINTR);
  // Whoever ignores SIGCHLD is told no status.
  status_ = ended == pid_ ? shell_status(status) : status_failed;
  pid_ = -1;
  return status_;
}

int shell_status(int wait_status) noexcept {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

}  // namespace culvert
