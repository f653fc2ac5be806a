// Folders of control sockets, and what killed processes left in them.
#include "culvert/runtime/control_folders.hpp"

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "culvert/base/fields.hpp"
#include "culvert/io/record_folder.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

namespace {

constexpr std::string_view start_of_exec = "exec-";
constexpr std::string_view ending = ".sock";

bool is_deserted(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::ranges::copy(path, address.sun_path);
  const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return client.is_open() &&
         ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
         errno == ECONNREFUSED;
}

/// A folder, not a link to one, of the caller.
bool is_own(const std::string& folder, mode_t& mode) {
  struct stat status {};
  if (::lstat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return false;
  mode = status.st_mode;
  return status.st_uid == ::geteuid();
}

}  // namespace

std::optional<std::string> own_control_folder() {
  if (::geteuid() == 0) return std::string(control_socket_folder);
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime == nullptr || *runtime != '/') return std::nullopt;
  return std::string(runtime) + "/culvert";
}

std::optional<std::string> make_own_control_folder() {
  auto folder = own_control_folder();
  if (!folder) return std::nullopt;
  const bool is_root = ::geteuid() == 0;
  if (::mkdir(folder->c_str(), is_root ? 0755 : 0700) != 0 && errno != EEXIST) return std::nullopt;
  if (is_root) return folder;
  mode_t mode = 0;
  if (!is_own(*folder, mode) || ::chmod(folder->c_str(), 0700) != 0) return std::nullopt;
  return folder;
}

std::vector<std::string> control_folders() {
  std::vector<std::string> folders{std::string(control_socket_folder)};
  const auto add = [&folders](std::string folder) {
    if (std::ranges::find(folders, folder) == folders.end()) folders.push_back(std::move(folder));
  };
  if (auto own = own_control_folder()) add(std::move(*own));
  // Where his other tunnels have them, should his variable say something else, or nothing, here.
  if (::geteuid() != 0) add("/run/user/" + std::to_string(::geteuid()) + "/culvert");
  return folders;
}

std::vector<std::string> trusted_control_folders() {
  std::vector<std::string> folders = control_folders();
  std::erase_if(folders, [](const std::string& folder) {
    mode_t mode = 0;
    // In /run root alone makes folders.
    return folder != control_socket_folder && (!is_own(folder, mode) || (mode & (S_IWGRP | S_IWOTH)) != 0);
  });
  return folders;
}

std::string name_of_exec(pid_t pid) {
  return std::string(start_of_exec) + std::to_string(pid);
}

std::optional<pid_t> pid_of_exec(std::string_view socket_name) {
  const bool is_exec = socket_name.starts_with(start_of_exec) && socket_name.ends_with(ending) &&
                       socket_name.size() > start_of_exec.size() + ending.size();
  if (!is_exec) return std::nullopt;
  socket_name.remove_prefix(start_of_exec.size());
  socket_name.remove_suffix(ending.size());
  const auto pid = number_from<pid_t>(socket_name);
  return pid && *pid > 0 ? pid : std::nullopt;
}

void sweep_control_folder(const std::string& folder) noexcept {
  try {
    for (const std::string& name : names_in(folder)) {
      const auto pid = pid_of_exec(name);
      // Between being bound and being listened at a socket refuses, too; its process lives.
      if (!pid || ::kill(*pid, 0) == 0 || errno != ESRCH) continue;
      const std::string path = folder + "/" + name;
      if (is_deserted(path)) ::unlink(path.c_str());
    }
  } catch (const std::exception&) {
    // What is left over harms nobody; the next one sweeps.
  }
}

}  // namespace culvert
