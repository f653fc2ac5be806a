// Keeping mounts over files that others replace.
#include "culvert/unshare/stand_ins.hpp"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "places.hpp"

namespace culvert {

namespace {

constexpr unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr unsigned long protected_from_all = plain | MS_RDONLY;  // as is each mount that is copied from such a one

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::system_category(), what);
}

}  // namespace

StandIns::StandIns() : news_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  if (!news_.is_open()) fail("watching for files that are replaced");
}

void StandIns::make_room_in(const std::string& memory) {
  room_ = memory + "/.stand-ins";
  const bool is_made =
      ::mkdir(room_.c_str(), 0755) == 0 && ::mount("tmpfs", room_.c_str(), "tmpfs", plain, "mode=0755") == 0;
  if (!is_made) fail("mounting memory at " + room_);
}

void StandIns::put_over(const std::string& path, const std::string& text) {
  const std::string made = room_ + "/" + std::to_string(all_.size());
  const auto change = [this](unsigned long flags) {
    return ::mount(nullptr, room_.c_str(), nullptr, MS_REMOUNT | MS_BIND | flags, nullptr) == 0;
  };
  if (!change(plain)) fail("making room for files in " + room_);
  (void)make_file(made, text);
  StandIn one{path, UniqueFd(::open(made.c_str(), O_PATH | O_CLOEXEC))};
  if (!change(protected_from_all)) fail("protecting " + room_);
  if (!one.file.is_open() || !one.put_at(make_place_for(path))) fail("putting another file over " + path);
  watch(one);
  all_.push_back(std::move(one));
}

void StandIns::attend() noexcept {
  alignas(inotify_event) std::array<char, 4096> news;
  while (::read(news_.get(), news.data(), news.size()) > 0) {
  }
  // A new link may lead to a folder that was not watched while its contents changed.
  constexpr unsigned most_attempts = 8;
  for (const StandIn& one : all_) {
    for (unsigned attempt = 0; attempt < most_attempts && !one.is_in_place(); ++attempt) {
      (void)one.put_at(links_from(one.path).back());
      watch(one);
    }
  }
}

void StandIns::watch(const StandIn& one) noexcept {
  for (const std::string& step : links_from(one.path)) {
    ::inotify_add_watch(news_.get(), folder_of(step).c_str(),
                        IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
  }
}

bool StandIns::StandIn::is_in_place() const noexcept {
  struct stat own {};
  struct stat there {};
  return ::fstat(file.get(), &own) == 0 && ::stat(path.c_str(), &there) == 0 && own.st_dev == there.st_dev &&
         own.st_ino == there.st_ino;
}

bool StandIns::StandIn::put_at(const std::string& target) const noexcept {
  const UniqueFd copy(::open_tree(file.get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  return copy.is_open() && ::move_mount(copy.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

}  // namespace culvert
