// Which peer wants to be woken next.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "culvert/base/time.hpp"
#include "culvert/forwarding/prefix_table.hpp"

namespace culvert {

/// A binary heap of one deadline per peer that knows where each peer is. A deadline may be early, never late: moving
/// one forward costs a comparison, and a peer woken too early just asks again.
class DeadlineQueue {
 public:
  /// Wakes `peer` no later than `deadline`. May allocate the first time a peer is seen.
  void wake_by(PeerId peer, Timestamp deadline);
  void remove(PeerId peer) noexcept;

  [[nodiscard]] std::optional<Timestamp> earliest() const noexcept;
  /// Takes one peer whose deadline is not after `now`.
  [[nodiscard]] std::optional<PeerId> take_due(Timestamp now) noexcept;

 private:
  struct Entry {
    Timestamp deadline;
    PeerId peer;
  };
  static constexpr std::uint32_t absent = ~std::uint32_t{0};
  void place(std::size_t position, Entry entry) noexcept;
  void sift_up(std::size_t position, Entry entry) noexcept;
  void sift_down(std::size_t position, Entry entry) noexcept;

  std::vector<Entry> heap_;
  std::vector<std::uint32_t> positions_;  ///< by peer id
};

}  // namespace culvert
