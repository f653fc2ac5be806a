// Listening on all links of a network namespace for texts that must not pass there.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "culvert/io/unique_fd.hpp"
#include "culvert/netns/network_namespace.hpp"

namespace culvert {

/// Sees every frame that passes while it lives, in both directions, also on links that come later. Not thread-safe.
class Wiretap {
 public:
  /// Throws std::system_error: EPERM without CAP_NET_RAW there.
  Wiretap(const NetworkNamespace& where, std::vector<std::string> texts);

  /// Readable when take() has something to do.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// Looks at what has passed so far.
  void take() noexcept;
  /// Names of the links on which text number `text` was seen.
  [[nodiscard]] const std::set<std::string>& seen(std::size_t text) const { return seen_.at(text); }
  [[nodiscard]] std::size_t frames() const noexcept { return frames_; }
  /// How many frames passed unseen, because there were too many at once.
  [[nodiscard]] std::size_t missed() noexcept;

 private:
  [[nodiscard]] std::string name_of(int index) const;
  UniqueFd fd_;
  std::vector<std::string> texts_;
  std::vector<std::set<std::string>> seen_;
  std::vector<char> buffer_;
  std::size_t frames_ = 0;
  std::size_t missed_ = 0;
};

}  // namespace culvert
