// Opening and entering network namespaces.
#include "culvert/netns/network_namespace.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "culvert/base/fields.hpp"
#include "culvert/io/record_folder.hpp"
#include "culvert/netns/named_namespaces.hpp"

namespace culvert {

namespace {

constexpr std::string_view pid_word = "pid:";
constexpr std::size_t longest_name = 255;
constexpr std::size_t longest_pid = 10;

[[noreturn]] void throw_errno(int error, const std::string& what) {
  throw std::system_error(error, std::system_category(), what);
}

[[noreturn]] void refuse(std::string_view specification, const std::string& why) {
  throw std::invalid_argument("network namespace '" + std::string(specification) + "': " + why);
}

std::string path_of(std::string_view specification) {
  if (specification.find('\0') != std::string_view::npos) refuse(specification, "the name holds a zero byte");
  if (specification.starts_with('/')) return std::string(specification);
  if (specification.starts_with(pid_word)) {
    const std::string_view number = specification.substr(pid_word.size());
    const bool is_number = !number.empty() && number.size() <= longest_pid && number.front() != '0' &&
                           std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!is_number) refuse(specification, "'pid:' must be followed by the number of a process");
    return "/proc/" + std::string(number) + "/ns/net";
  }
  check_namespace_name(specification);
  return path_of_named(specification);
}

std::string hint_for_open(std::string_view specification, int error) {
  const bool is_pid = specification.starts_with(pid_word);
  if (error == ENOENT && is_pid) return " (there is no such process)";
  if (error == ENOENT && !specification.starts_with('/')) {
    return " (there is no such name: 'culvert netns list' shows those there are, 'culvert netns add' makes one)";
  }
  if ((error == EACCES || error == EPERM) && is_pid) return " (looking into another user's process needs root)";
  return "";
}

// Says what is wrong with the descriptor; empty if it is of a network namespace.
std::string why_not_network_namespace(int fd) {
  struct statfs file_system {};
  if (::fstatfs(fd, &file_system) < 0) throw_errno(errno, "cannot examine a namespace descriptor");
  if (file_system.f_type != NSFS_MAGIC) {
    return "the file is no namespace; an empty file of that name is left behind when a namespace's mount is gone";
  }
  const int kind = ::ioctl(fd, NS_GET_NSTYPE);
  if (kind < 0) throw_errno(errno, "cannot ask a namespace for its kind");
  return kind == CLONE_NEWNET ? "" : "it is a namespace of another kind, not a network namespace";
}

std::optional<NetworkNamespace> if_it_is(const NamespaceIdentity& identity, const std::string& specification) {
  try {
    NetworkNamespace found =
        specification.empty() ? NetworkNamespace::current() : NetworkNamespace::open(specification);
    if (found.identity() == identity) return found;
  } catch (const std::exception&) {
    // Gone, or not to be looked at: not the one that is looked for.
  }
  return std::nullopt;
}

}  // namespace

void check_namespace_name(std::string_view name) {
  if (name.empty() || name == "." || name == "..") refuse(name, "this cannot be a name");
  if (name.find('\0') != std::string_view::npos) refuse(name, "the name holds a zero byte");
  if (name.find('/') != std::string_view::npos) refuse(name, "a name holds no '/'; a path begins with one");
  if (name.size() > longest_name) refuse(name, "a name has at most 255 bytes");
  if (name.starts_with(pid_word)) refuse(name, "a name cannot begin with 'pid:', which stands for a process");
}

std::string path_of_named(std::string_view name) {
  return std::string(named_namespaces_folder).append("/").append(name);
}

std::string describe(const NetworkNamespace& space) {
  const std::string& words = space.specification();
  return words.empty() ? "this network namespace" : "network namespace '" + words + "'";
}

std::optional<NamespaceIdentity> identity_at(const std::string& path) {
  try {
    return NetworkNamespace::open(path).identity();
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

NetworkNamespace NetworkNamespace::create() {
  UniqueFd fd;
  int error = 0;
  // A thread of its own: who calls this never leaves his namespace, not even for a moment.
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) == 0) fd.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    error = errno;
  }).join();
  if (!fd.is_open()) {
    throw_errno(error, error == EPERM ? "cannot make a network namespace (this needs root or CAP_SYS_ADMIN)"
                                      : "cannot make a network namespace");
  }
  return NetworkNamespace(std::move(fd));
}

NetworkNamespace NetworkNamespace::current() {
  UniqueFd fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!fd.is_open()) throw_errno(errno, "cannot open the present network namespace (is /proc mounted?)");
  return NetworkNamespace(std::move(fd));
}

NetworkNamespace NetworkNamespace::open(std::string_view specification) {
  const std::string path = path_of(specification);
  // O_NONBLOCK: a path may lead to a pipe that nobody writes to.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (const int error = errno; !fd.is_open()) {
    throw_errno(error, "cannot open network namespace '" + std::string(specification) + "', file " + path +
                           hint_for_open(specification, error));
  }
  if (const std::string why = why_not_network_namespace(fd.get()); !why.empty()) refuse(specification, why);
  return NetworkNamespace(std::move(fd), std::string(specification));
}

NetworkNamespace NetworkNamespace::adopt(UniqueFd fd) {
  if (const std::string why = why_not_network_namespace(fd.get()); !why.empty()) {
    refuse("descriptor " + std::to_string(fd.get()), why);
  }
  return NetworkNamespace(std::move(fd));
}

NamespaceIdentity NetworkNamespace::identity() const {
  struct stat status {};
  if (::fstat(fd_.get(), &status) < 0) throw_errno(errno, "cannot identify a network namespace");
  return {status.st_dev, status.st_ino};
}

std::optional<NetworkNamespace> find_namespace(const NamespaceIdentity& identity, const std::string& name) {
  if (auto found = if_it_is(identity, "")) return found;
  if (auto found = name.empty() ? std::nullopt : if_it_is(identity, name)) return found;
  for (const std::string& file : names_in("/run/netns")) {
    if (auto found = if_it_is(identity, file)) return found;
  }
  for (const std::string& file : names_in("/proc")) {
    if (number_from<pid_t>(file).value_or(0) <= 0) continue;
    if (auto found = if_it_is(identity, std::string(pid_word) + file)) return found;
  }
  return std::nullopt;
}

ScopedNamespace::ScopedNamespace(const NetworkNamespace& there) : back_(NetworkNamespace::current()) {
  // Being there already takes no capability, entering does.
  has_moved_ = there.identity() != back_.identity();
  if (!has_moved_) return;
  // Who has capabilities in a user namespace made inside this network may enter its own, and not come back.
  const UniqueFd owner(::ioctl(back_.fd(), NS_GET_USERNS));
  if (!owner.is_open() && errno == EPERM) {
    throw_errno(EPERM, "cannot enter " + describe(there) + ", because there would be no way back");
  }
  if (::setns(there.fd(), CLONE_NEWNET) < 0) {
    const int error = errno;
    throw_errno(error,
                "cannot enter " + describe(there) + (error == EPERM ? " (this needs root or CAP_SYS_ADMIN)" : ""));
  }
}

ScopedNamespace::~ScopedNamespace() {
  if (!has_moved_ || ::setns(back_.fd(), CLONE_NEWNET) == 0) return;
  std::fprintf(stderr, "cannot return to the previous network namespace: %s\n", std::strerror(errno));
  std::abort();
}

}  // namespace culvert
