// Slot changes as in the kernel's noise.c (add_new_keypair, received_with_keypair).
#include "culvert/protocol/session_set.hpp"

#include <utility>

namespace culvert {

namespace {

/// Puts `session` into `slot`; what was there dies, its keys with it.
void replace(std::shared_ptr<Session>& slot, std::shared_ptr<Session> session, ReleasedIndices& released) noexcept {
  if (slot) released.add(slot->local_index());
  slot = std::move(session);
}

}  // namespace

ReleasedIndices SessionSet::add_as_initiator(std::shared_ptr<Session> session) noexcept {
  ReleasedIndices released;
  // An unconfirmed `next` is the newer one, and the peer may be about to use it.
  replace(previous_, std::move(next_ ? next_ : current_), released);
  replace(current_, std::move(session), released);
  return released;
}

ReleasedIndices SessionSet::add_as_responder(std::shared_ptr<Session> session) noexcept {
  ReleasedIndices released;
  replace(next_, std::move(session), released);
  replace(previous_, nullptr, released);
  return released;
}

ReleasedIndices SessionSet::received_with(const Session& session, bool& confirmed) noexcept {
  ReleasedIndices released;
  confirmed = &session == next_.get();
  if (confirmed) {
    replace(previous_, std::move(current_), released);
    current_ = std::move(next_);
  }
  return released;
}

const std::shared_ptr<Session>& SessionSet::share(SessionIndex local) const noexcept {
  static const std::shared_ptr<Session> none;
  for (const auto* slot : {&current_, &next_, &previous_}) {
    if (*slot && (*slot)->local_index() == local) return *slot;
  }
  return none;
}

ReleasedIndices SessionSet::clear() noexcept {
  ReleasedIndices released;
  replace(next_, nullptr, released);
  replace(previous_, nullptr, released);
  replace(current_, nullptr, released);
  return released;
}

}  // namespace culvert
