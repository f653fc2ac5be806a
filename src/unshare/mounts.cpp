// Private mounts: hidden folders, and files with other contents.
#include "culvert/unshare/mounts.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <system_error>

#include "culvert/io/record_folder.hpp"
#include "places.hpp"

namespace culvert {

namespace {

constexpr const char* below = ".below";  // where a folder of links keeps what it took the place of
constexpr unsigned long plain = MS_NOSUID | MS_NODEV;

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::system_category(), what);
}

void mount_or_fail(const char* source, const std::string& target, const char* kind, unsigned long flags,
                   const char* options, const std::string& what) {
  if (::mount(source, target.c_str(), kind, flags, options) != 0) fail(what);
}

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

bool is_folder(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

/// An empty folder in memory, at the place of one that is not needed for a moment.
class Workbench {
 public:
  explicit Workbench(const std::string& not_this) {
    for (const char* place : {"/tmp", "/mnt", "/media", "/srv", "/home", "/opt"}) {
      if (not_this.starts_with(place) || !is_folder(place)) continue;
      mount_or_fail("tmpfs", place, "tmpfs", plain, "mode=0755", "mounting memory at " + std::string(place));
      path_ = place;
      return;
    }
    errno = ENOENT;
    fail("looking for a folder to mount memory at");
  }
  ~Workbench() { ::umount2(path_.c_str(), MNT_DETACH); }
  Workbench(const Workbench&) = delete;
  Workbench& operator=(const Workbench&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// A copy of what is mounted at `path`, to be put elsewhere.
UniqueFd copy_of(const char* path) noexcept {
  return UniqueFd(::open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
}

bool put(const UniqueFd& copy, const std::string& path) noexcept {
  return ::move_mount(copy.get(), "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

void make_folder_of_links(const std::string& folder) {
  const std::string what = "making a copy of " + folder;
  const UniqueFd old = copy_of(folder.c_str());
  if (!old.is_open()) fail(what);
  mount_or_fail("tmpfs", folder, "tmpfs", plain, "mode=0755", what);
  const std::string there = folder + "/" + below;
  if (::mkdir(there.c_str(), 0755) != 0 || !put(old, there)) fail(what);
  for (const std::string& name : names_in(there)) {
    if (::symlink((std::string(below) + "/" + name).c_str(), (folder + "/" + name).c_str()) != 0 && errno != EEXIST) {
      fail(what);
    }
  }
}

/// Puts a folder of links in the place of a link to a folder, below a `top` that is a folder of links already.
void follow_link_inside(const std::string& top, const std::string& folder) {
  const std::string there = top + "/" + below + folder.substr(top.size());
  struct stat status {};
  if (::lstat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return;
  ::unlink(folder.c_str());
  if (::mkdir(folder.c_str(), 0755) != 0) fail("making " + folder);
  if (!is_folder(there)) return;
  for (const std::string& name : names_in(there)) {
    if (::symlink((there + "/" + name).c_str(), (folder + "/" + name).c_str()) != 0) fail("linking " + folder);
  }
}

}  // namespace

std::vector<std::string> links_from(std::string path) {
  std::vector<std::string> all{path};
  for (unsigned steps = 0; steps < 40; ++steps) {
    std::string target(PATH_MAX, '\0');
    const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
    if (size < 0) break;
    target.resize(static_cast<std::size_t>(size));
    path = target.starts_with('/') ? target : folder_of(path) + "/" + target;
    all.push_back(path);
  }
  return all;
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

UniqueFd make_file(const std::string& path, const std::string& text) {
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file.is_open() || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    fail("writing " + path);
  }
  ::fchmod(file.get(), 0644);
  return file;
}

std::string make_place_for(const std::string& path) {
  std::string target = links_from(path).back();
  // A link out of a folder that is gone cannot be followed; the file takes the link's place.
  if (!is_folder(folder_of(target))) target = path;
  if (exists(target)) return target;
  make_folder_of_links(folder_of(target));
  // What was there may be a link that leads nowhere.
  ::unlink(target.c_str());
  (void)make_file(target, "");
  return target;
}

void keep_mounts_to_oneself() {
  mount_or_fail(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr, "keeping mounts to this process");
}

void share_mounts_with_namespaces_within() {
  mount_or_fail(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr,
                "letting mounts arrive in namespaces made from here");
}

bool mount_own_proc() noexcept {
  return ::mount("proc", "/proc", "proc", plain | MS_NOEXEC, nullptr) == 0;
}

bool mount_own_sys() noexcept {
  constexpr const char* groups = "/sys/fs/cgroup";
  const UniqueFd old = copy_of(groups);
  if (::mount("sysfs", "/sys", "sysfs", plain | MS_NOEXEC, nullptr) != 0) return false;
  if (old.is_open()) put(old, groups);
  return true;
}

void empty_folders(const std::string& top, const std::vector<std::string>& folders) {
  make_folder_of_links(top);
  for (const std::string& folder : folders) {
    for (std::size_t slash = folder.find('/', top.size() + 1); slash != std::string::npos;
         slash = folder.find('/', slash + 1)) {
      follow_link_inside(top, folder.substr(0, slash));
    }
    ::unlink(folder.c_str());
    if (::mkdir(folder.c_str(), 0755) != 0) fail("making an empty " + folder);
  }
}

bool hide_folder(const std::string& folder) {
  if (!is_folder(folder)) return false;
  mount_or_fail("tmpfs", folder, "tmpfs", plain | MS_NOEXEC, "mode=0755", "hiding " + folder);
  return true;
}

std::string working_folder() {
  const std::unique_ptr<char, void (*)(void*)> path(::get_current_dir_name(), std::free);
  return path ? path.get() : "";
}

void return_to_working_folder(const std::string& path) {
  if (path.empty() || path.front() != '/' || ::chdir(path.c_str()) != 0) {
    if (::chdir("/") != 0) fail("going to /");
  }
}

void put_over(const std::string& path, const std::string& text) {
  const std::string target = make_place_for(path);
  const Workbench workbench(target);
  const std::string made = workbench.path() + "/file";
  (void)make_file(made, text);
  mount_or_fail(made.c_str(), target, nullptr, MS_BIND, nullptr, "putting another file over " + path);
  mount_or_fail(nullptr, target, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | plain, nullptr, "protecting " + path);
}

}  // namespace culvert
