// Files that read differently for one process, whatever others put in their places.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// For a process in a mount namespace of its own, like the calls of unshare/mounts.hpp. A file that is mounted over
/// another one goes with that one, when somebody elsewhere removes it or renames another into its place; here it is
/// mounted again then, as soon as attend() is called. While that cannot be, as no file is there, or nothing is told of
/// folders, it is tried every second.
class StandIns {
 public:
  /// Throws std::system_error, as do the next two.
  StandIns();
  /// In `memory`, a folder that nobody else sees; first of all.
  void make_room_in(const std::string& memory);
  /// The file `path`, or the one that a symbolic link there leads to, reads as `text` from now on, and cannot be
  /// written. It need not exist: then its folder becomes one of symbolic links to what was in it.
  void put_over(const std::string& path, const std::string& text);

  /// Readable when something happened to a folder on the way to one of the files, or a second is over.
  [[nodiscard]] int fd() const noexcept { return ready_.get(); }
  /// Puts in place again what is not; but a file that is missing outside of `memory` only when somebody has made it
  /// again.
  void attend() noexcept;
  /// The sysctl that is too low for folders to be watched; empty as long as they are.
  [[nodiscard]] const std::string& exhausted_sysctl() const noexcept { return exhausted_sysctl_; }

 private:
  struct StandIn {
    std::string path;
    UniqueFd file;
    [[nodiscard]] bool is_in_place() const noexcept;
    [[nodiscard]] bool put_at(const std::string& target) const noexcept;
  };
  void watch(const StandIn& one) noexcept;
  void watch_with_all_above(std::string folder) noexcept;
  void make_place_in_memory(const std::string& target) const noexcept;
  void look_again_later(bool is_wanted) const noexcept;

  std::string room_;
  dev_t memory_ = 0;
  UniqueFd news_;  ///< not open if there is none to be had
  UniqueFd clock_;
  UniqueFd ready_;  ///< both
  std::string exhausted_sysctl_;
  std::vector<StandIn> all_;
};

}  // namespace culvert
