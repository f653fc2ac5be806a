// Looking at the open files of other processes.
#include "culvert/netns/open_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <memory>
#include <set>

#include "culvert/base/fields.hpp"
#include "culvert/io/record_folder.hpp"
#include "culvert/netns/known_namespaces.hpp"

namespace culvert {

namespace {

std::string folder_of(pid_t pid) {
  return "/proc/" + std::to_string(pid);
}

std::string contents(const std::string& path) {
  constexpr std::size_t most = 4096;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file.is_open() ? read_all(file, most).value_or("") : "";
}

/// "iff:\tNAME" (tun_chr_show_fdinfo in drivers/net/tun.c).
std::string device_in(const std::string& information) {
  constexpr std::string_view mark = "\niff:\t";
  const std::size_t start = information.find(mark);
  if (start == std::string::npos) return "";
  const std::size_t name = start + mark.size();
  return information.substr(name, information.find('\n', name) - name);
}

/// visit(descriptor, what it leads to) for each open file. False, with errno, when they are not to be seen.
template <class Visit>
bool for_each_file(pid_t pid, Visit visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir((folder_of(pid) + "/fd").c_str()), ::closedir);
  if (!folder) return false;
  while (const dirent* entry = ::readdir(folder.get())) {
    const auto fd = number_from<int>(entry->d_name);
    std::array<char, 64> target{};
    const ssize_t size = ::readlinkat(::dirfd(folder.get()), entry->d_name, target.data(), target.size());
    if (fd && size > 0) visit(*fd, std::string_view(target.data(), static_cast<std::size_t>(size)));
  }
  return true;
}

std::optional<std::uint64_t> inode_in(std::string_view target) {
  constexpr std::string_view start = "net:[";
  if (!target.starts_with(start) || !target.ends_with("]")) return std::nullopt;
  return number_from<std::uint64_t>(target.substr(start.size(), target.size() - start.size() - 1));
}

void look_at(pid_t pid, OpenFiles& files) {
  const bool is_seen = for_each_file(pid, [&](int fd, std::string_view target) {
    if (target == "/dev/net/tun") {
      std::string device = device_in(contents(folder_of(pid) + "/fdinfo/" + std::to_string(fd)));
      if (!device.empty()) files.devices.push_back({pid, fd, std::move(device)});
    } else if (const auto inode = inode_in(target)) {
      auto& holders = files.namespaces[*inode];
      if (holders.empty() || holders.back().holder != pid) holders.push_back({pid, fd});
    }
  });
  if (!is_seen && (errno == EACCES || errno == EPERM)) ++files.hidden;
}

/// "mnt:[4026531841]"; empty if it is not to be seen.
std::string mount_namespace_of(const std::string& process) {
  std::array<char, 64> target{};
  const ssize_t size = ::readlink(("/proc/" + process + "/ns/mnt").c_str(), target.data(), target.size());
  return size > 0 ? std::string(target.data(), static_cast<std::size_t>(size)) : "";
}

/// A copy of another process's descriptor (pidfd_getfd(2)).
UniqueFd copy_of(pid_t pid, int fd) {
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.is_open()) return {};
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
}

std::optional<NetworkNamespace> namespace_told_by(const UniqueFd& file, unsigned long question) {
  if (!file.is_open()) return std::nullopt;
  UniqueFd space(::ioctl(file.get(), question));
  if (!space.is_open()) return std::nullopt;
  try {
    return NetworkNamespace::adopt(std::move(space));
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

bool is_udp_socket_at(const UniqueFd& file, std::uint16_t port) {
  int protocol = 0;
  socklen_t size = sizeof protocol;
  if (::getsockopt(file.get(), SOL_SOCKET, SO_PROTOCOL, &protocol, &size) != 0 || protocol != IPPROTO_UDP) return false;
  sockaddr_in6 address{};
  size = sizeof address;
  if (::getsockname(file.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return false;
  // The port is in the same place for both families.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  return (address.sin6_family == AF_INET || address.sin6_family == AF_INET6) && ntohs(address.sin6_port) == port;
}

}  // namespace

OpenFiles open_files() {
  OpenFiles files;
  std::set<std::string> mounts{"", mount_namespace_of("thread-self")};
  const pid_t self = ::getpid();
  for (const std::string& name : names_in("/proc")) {
    const auto pid = pid_from(name);
    if (!pid || *pid == self) continue;
    look_at(*pid, files);
    if (mounts.insert(mount_namespace_of(name)).second) files.mounts.push_back(*pid);
  }
  return files;
}

std::optional<NetworkNamespace> open_held(const HeldNamespace& held) {
  try {
    return NetworkNamespace::open(folder_of(held.holder) + "/fd/" + std::to_string(held.fd));
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

std::optional<NetworkNamespace> home_of(const HeldDevice& device) {
  return namespace_told_by(copy_of(device.holder, device.fd), TUNGETDEVNETNS);
}

std::optional<NetworkNamespace> home_of_udp_socket(pid_t pid, std::uint16_t port) {
  std::optional<NetworkNamespace> found;
  for_each_file(pid, [&](int fd, std::string_view target) {
    if (found || !target.starts_with("socket:")) return;
    const UniqueFd file = copy_of(pid, fd);
    if (file.is_open() && is_udp_socket_at(file, port)) found = namespace_told_by(file, SIOCGSKNS);
  });
  return found;
}

bool has_program(pid_t pid) {
  const UniqueFd file(::open((folder_of(pid) + "/cmdline").c_str(), O_RDONLY | O_CLOEXEC));
  char first = 0;
  return file.is_open() && ::read(file.get(), &first, 1) == 1;
}

std::string name_of_process(pid_t pid) {
  std::string name = contents(folder_of(pid) + "/comm");
  if (name.ends_with('\n')) name.pop_back();
  return name;
}

}  // namespace culvert
