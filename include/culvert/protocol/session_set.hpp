// The three sessions a peer may have at a time, and how they take each other's place.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

#include "culvert/protocol/session.hpp"

namespace culvert {

/// Indices that no longer name a session.
class ReleasedIndices {
 public:
  void add(SessionIndex index) noexcept { indices_[count_++] = index; }
  [[nodiscard]] const SessionIndex* begin() const noexcept { return indices_.data(); }
  [[nodiscard]] const SessionIndex* end() const noexcept { return indices_.data() + count_; }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }

 private:
  std::array<SessionIndex, 4> indices_{};
  std::size_t count_ = 0;
};

/// `current` sends; `previous` still opens what was under way; `next` was made by us as responder and is not used for
/// sending until the initiator has proved, by its first data, that it has the keys too (noise.c, key confirmation).
class SessionSet {
 public:
  /// After consuming a response: usable at once. `current`, or `next` if there was one, becomes `previous`.
  [[nodiscard]] ReleasedIndices add_as_initiator(std::shared_ptr<Session> session) noexcept;
  /// After creating a response: becomes `next`; an older `next` and `previous` go.
  [[nodiscard]] ReleasedIndices add_as_responder(std::shared_ptr<Session> session) noexcept;

  /// Call when `session` opened a message. If it is `next`: next → current → previous, and `confirmed` is set.
  [[nodiscard]] ReleasedIndices received_with(const Session& session, bool& confirmed) noexcept;

  [[nodiscard]] Session* find(SessionIndex local) noexcept { return share(local).get(); }
  /// Keeps the session, and its keys, for as long as somebody is at work with it.
  [[nodiscard]] const std::shared_ptr<Session>& share(SessionIndex local) const noexcept;
  [[nodiscard]] const std::shared_ptr<Session>& share_current() const noexcept { return current_; }
  [[nodiscard]] Session* current() noexcept { return current_.get(); }
  [[nodiscard]] const Session* current() const noexcept { return current_.get(); }
  [[nodiscard]] const Session* previous() const noexcept { return previous_.get(); }
  [[nodiscard]] const Session* next() const noexcept { return next_.get(); }

  /// Wipes all keys.
  [[nodiscard]] ReleasedIndices clear() noexcept;

 private:
  std::shared_ptr<Session> current_;
  std::shared_ptr<Session> previous_;
  std::shared_ptr<Session> next_;
};

}  // namespace culvert
