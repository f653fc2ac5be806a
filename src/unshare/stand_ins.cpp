// Keeping mounts over files that others replace.
#include "culvert/unshare/stand_ins.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>
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

StandIns::StandIns()
    : news_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      clock_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      ready_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!news_.is_open()) exhausted_sysctl_ = "fs.inotify.max_user_instances";
  for (const UniqueFd* source : {&news_, &clock_}) {
    epoll_event event{};
    event.events = EPOLLIN;
    const bool is_needed = source == &clock_ || source->is_open();
    if (is_needed && ::epoll_ctl(ready_.get(), EPOLL_CTL_ADD, source->get(), &event) != 0) {
      fail("watching for files that are replaced");
    }
  }
  look_again_later(!news_.is_open());
}

void StandIns::make_room_in(const std::string& memory) {
  room_ = memory + "/.stand-ins";
  const bool is_made =
      ::mkdir(room_.c_str(), 0755) == 0 && ::mount("tmpfs", room_.c_str(), "tmpfs", plain, "mode=0755") == 0;
  struct stat status {};
  if (!is_made || ::stat(memory.c_str(), &status) != 0) fail("mounting memory at " + room_);
  memory_ = status.st_dev;
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
  [[maybe_unused]] const auto ticks = ::read(clock_.get(), news.data(), sizeof(std::uint64_t));
  // A new link may lead to a folder that was not watched while its contents changed.
  constexpr unsigned most_attempts = 8;
  bool is_all_well = exhausted_sysctl_.empty();
  for (const StandIn& one : all_) {
    for (unsigned attempt = 0; attempt < most_attempts && !one.is_in_place(); ++attempt) {
      const std::string target = links_from(one.path).back();
      make_place_in_memory(target);
      (void)one.put_at(target);
      watch(one);
    }
    is_all_well = is_all_well && one.is_in_place();
  }
  look_again_later(!is_all_well);
}

void StandIns::watch(const StandIn& one) noexcept {
  if (!news_.is_open()) return;
  for (const std::string& step : links_from(one.path)) {
    const std::string folder = folder_of(step);
    watch_with_all_above(folder);
    // Links on the way there lead elsewhere.
    const std::unique_ptr<char, void (*)(void*)> real(::realpath(folder.c_str(), nullptr), std::free);
    if (real && folder != real.get()) watch_with_all_above(real.get());
  }
}

void StandIns::watch_with_all_above(std::string folder) noexcept {
  for (;; folder = folder_of(folder)) {
    constexpr std::uint32_t changes = IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
    if (::inotify_add_watch(news_.get(), folder.c_str(), changes) < 0 && errno == ENOSPC) {
      exhausted_sysctl_ = "fs.inotify.max_user_watches";
      look_again_later(true);
    }
    if (folder == "/") return;
  }
}

void StandIns::make_place_in_memory(const std::string& target) const noexcept {
  // A daemon's folder that is empty here, or that was not there yet: what is made there is seen by nobody else.
  std::vector<std::string> missing{target};
  struct stat status {};
  while (missing.back() != "/" && ::stat(missing.back().c_str(), &status) != 0) {
    missing.push_back(folder_of(missing.back()));
  }
  if (missing.size() == 1 || status.st_dev != memory_) return;
  missing.pop_back();
  for (; missing.size() > 1; missing.pop_back()) {
    if (::mkdir(missing.back().c_str(), 0755) != 0) return;
  }
  const UniqueFd made(::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
}

void StandIns::look_again_later(bool is_wanted) const noexcept {
  itimerspec time{};
  time.it_value.tv_sec = is_wanted ? 1 : 0;
  time.it_interval.tv_sec = time.it_value.tv_sec;
  ::timerfd_settime(clock_.get(), 0, &time, nullptr);
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
