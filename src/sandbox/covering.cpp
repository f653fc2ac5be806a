// Covering what leads out of a sandbox.
#include "culvert/sandbox/covering.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "culvert/io/record_folder.hpp"
#include "culvert/io/unique_fd.hpp"
#include "culvert/unshare/mounts.hpp"

namespace culvert {

namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::system_category(), what);
}

void mount_or_fail(const char* source, const std::string& target, const char* type, unsigned long flags,
                   const char* data, const std::string& what) {
  if (::mount(source, target.c_str(), type, flags, data) != 0) fail(what);
}

/// A file or folder over another.
void bind(const std::string& source, const std::string& target) {
  mount_or_fail(source.c_str(), target, nullptr, MS_BIND | MS_REC, nullptr, "mounting " + source + " over " + target);
}

void mount_tmpfs(const std::string& path, const char* options) {
  mount_or_fail("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options, "mounting an empty folder over " + path);
}

/// All that is mounted at the path and below.
void change_mounts(const std::string& path, std::uint64_t set, std::uint64_t clear) {
  mount_attr attributes{};
  attributes.attr_set = set;
  attributes.attr_clr = clear;
  if (::mount_setattr(AT_FDCWD, path.c_str(), AT_RECURSIVE, &attributes, sizeof attributes) != 0) {
    fail("making " + path + ((set & MOUNT_ATTR_RDONLY) != 0 ? " read-only" : " usable") + " (this needs Linux 5.12)");
  }
}

bool is_folder(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

bool is_there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

constexpr const char* resolv_conf = "/etc/resolv.conf";

std::optional<std::string> text_of(const char* path) {
  const UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC));
  constexpr std::size_t most = 65536;
  return file.is_open() ? read_all(file, most) : std::nullopt;
}

/// \040 and the like, in which the kernel writes spaces.
std::string without_escapes(const std::string& text) {
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\\' || at + 3 >= text.size()) {
      plain += text[at];
      continue;
    }
    plain += static_cast<char>(std::strtol(text.substr(at + 1, 3).c_str(), nullptr, 8));
    at += 3;
  }
  return plain;
}

/// Where something of the type is mounted (proc_pid_mountinfo(5)), the last mount first.
std::vector<std::string> mounts_of(const std::string& type) {
  const UniqueFd file(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  constexpr std::size_t most = std::size_t{16} << 20;
  const auto text = file.is_open() ? read_all(file, most) : std::nullopt;
  if (!text) fail("reading /proc/self/mountinfo");
  std::vector<std::string> found;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string word, point;
    for (int at = 0; at < 5; ++at) fields >> point;
    while (fields >> word && word != "-") {
    }
    fields >> word;
    if (word == type) found.insert(found.begin(), without_escapes(point));
  }
  return found;
}

/// What must not be reached goes; what the kernel does not let go, because another user namespace has mounted it, is
/// covered.
void take_away(const std::string& path) {
  if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || !is_there(path)) return;
  if (is_folder(path)) {
    mount_tmpfs(path, "mode=755,size=4k");
  } else {
    bind("/dev/null", path);
  }
}

void cover_namespaces() {
  for (const std::string& path : mounts_of("nsfs")) take_away(path);
  for (const std::string& path : mounts_of("proc")) {
    if (path != "/proc") take_away(path);
  }
}

/// What tells of the kernel and of other users.
void cover_secrets_of_proc() {
  for (const char* path : {"/proc/kcore", "/proc/keys", "/proc/kallsyms"}) {
    if (is_there(path)) bind("/dev/null", path);
  }
}

constexpr std::array<const char*, 6> nodes{"/dev/null",   "/dev/zero",    "/dev/full",
                                           "/dev/random", "/dev/urandom", "/dev/tty"};

void make_own_dev() {
  // The old ones are reached by descriptor once the new folder covers them.
  const UniqueFd old(::open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!old.is_open()) fail("opening /dev");
  const std::string before = "/proc/self/fd/" + std::to_string(old.get());
  mount_tmpfs("/dev", "mode=755,size=64k");
  for (const std::string path : nodes) {
    const std::string node = before + path.substr(path.rfind('/'));
    if (!is_there(node)) continue;
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file.is_open()) fail("making " + path);
    bind(node, path);
  }
  for (const char* path : {"/dev/pts", "/dev/shm"}) {
    if (::mkdir(path, 0755) != 0) fail(std::string("making ") + path);
  }
  // Terminals of others stay outside.
  mount_or_fail("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620",
                "mounting /dev/pts");
  mount_tmpfs("/dev/shm", "mode=1777");
  constexpr std::array<std::array<const char*, 2>, 5> links{{{"pts/ptmx", "/dev/ptmx"},
                                                             {"/proc/self/fd", "/dev/fd"},
                                                             {"/proc/self/fd/0", "/dev/stdin"},
                                                             {"/proc/self/fd/1", "/dev/stdout"},
                                                             {"/proc/self/fd/2", "/dev/stderr"}}};
  for (const auto& [target, path] : links) {
    if (::symlink(target, path) != 0) fail(std::string("making ") + path);
  }
}

}  // namespace

void show_own_processes_and_interfaces(bool has_own_network) {
  keep_mounts_to_oneself();
  constexpr const char* hint =
      "; in a container that hides a part of it the kernel allows no other: start that container with --privileged, or "
      "with --security-opt unmask=ALL";
  if (!mount_own_proc()) throw std::runtime_error(std::string("cannot mount /proc for the sandbox") + hint);
  // Over itself /sys cannot be mounted.
  if (has_own_network && !mount_own_sys())
    throw std::runtime_error(std::string("cannot mount /sys for the sandbox") + hint);
}

void name_reachable_resolvers() {
  // systemd-resolved.service(8): the address it listens at, and the file with the servers it has been told.
  constexpr std::string_view stub = "nameserver 127.0.0.53\n";
  const auto present = text_of(resolv_conf);
  if (!present || present->find(stub) == std::string::npos) return;
  if (const auto upstream = text_of("/run/systemd/resolve/resolv.conf")) put_over(resolv_conf, *upstream);
}

void cover_what_is_outside(const std::vector<std::string>& writable, const std::vector<std::string>& hidden) {
  const std::string folder = working_folder();
  // What others mount later shall not arrive.
  mount_or_fail(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr, "keeping mounts to the sandbox");
  cover_namespaces();
  make_own_dev();
  std::vector<std::string> stay_writable = writable;
  for (const char* path : {"/tmp", "/var/tmp"}) {
    if (is_there(path)) stay_writable.emplace_back(path);
  }
  // Mounts of their own, so that they can differ from what is around them.
  for (const std::string& path : stay_writable) bind(path, path);
  // Also /proc and /sys, by which a process with the user number 0 steers the kernel, whatever its capabilities.
  change_mounts("/", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, 0);
  for (const std::string& path : stay_writable) change_mounts(path, 0, MOUNT_ATTR_RDONLY);
  for (const char* path : nodes) {
    if (is_there(path)) change_mounts(path, 0, MOUNT_ATTR_NODEV);
  }
  change_mounts("/dev/pts", 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
  change_mounts("/dev/shm", 0, MOUNT_ATTR_RDONLY);
  const auto names = text_of(resolv_conf);
  for (const std::string& path : hidden) hide_folder(path);
  hide_folder("/run");
  if (names && text_of(resolv_conf) != names) put_over(resolv_conf, *names);
  cover_secrets_of_proc();
  return_to_working_folder(folder);
}

}  // namespace culvert
