// Links that somebody is just making in several steps, and that nobody finishes if he is killed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/io/netlink.hpp"
#include "culvert/io/unique_fd.hpp"
#include "culvert/netns/network_namespace.hpp"

namespace culvert {

inline constexpr std::string_view unfinished_links_folder = "/run/culvert/links";

/// Says in a file of /run/culvert/links what is being made, as long as it is; who is killed leaves it to
/// remove_unfinished_links(). What is made is known by its group, which no other link has and finish() takes away.
/// Whoever may not write there makes links without.
class UnfinishedLink {
 public:
  /// Before a link is made in `space`. `to_take_down`: links there that will be brought up along with it.
  UnfinishedLink(const NetworkNamespace& space, const std::vector<std::string>& to_take_down) noexcept;
  /// By then the link is finished, or gone.
  ~UnfinishedLink();
  UnfinishedLink(const UnfinishedLink&) = delete;
  UnfinishedLink& operator=(const UnfinishedLink&) = delete;

  /// To be made with this one; 0 without a file.
  [[nodiscard]] std::uint32_t group() const noexcept { return group_; }
  /// All is there: it becomes a link like any other. Throws std::system_error.
  void finish(Netlink& netlink, std::uint32_t index) const;

 private:
  std::string path_;
  UniqueFd file_;
  std::uint32_t group_ = 0;
};

/// Removes what those left who were killed.
void remove_unfinished_links() noexcept;

}  // namespace culvert
