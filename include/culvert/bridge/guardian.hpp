// A process of its own that takes a NIC back from its bridge unless somebody confirms in time that all is well.
#pragma once

#include <functional>
#include <string>

#include "culvert/bridge/attachment.hpp"
#include "culvert/bridge/journal.hpp"

namespace culvert {

struct Guardian {
  ProcessIdentity identity;
  /// Held by the applier until it ends: by its closing the guardian learns of that.
  UniqueFd lifeline;
};

/// Starts one for the journal of `nic`, which is written already and has a deadline; returns when it watches. It is no
/// child of the caller (forked twice, in a session of its own), ignores hang-up and interrupt, holds no descriptor of
/// the caller, keeps CAP_NET_ADMIN alone, is locked in memory and spared by the out-of-memory killer as far as the
/// caller may do that, and writes what it does to NIC.log beside the journal. It acts at the deadline on CLOCK_BOOTTIME
/// or as soon as the applier ends in the midst of applying; an applier that is alive then is killed first, lest it goes
/// on afterwards. It ends when the journal says that it is confirmed or somebody else's, or is gone. Throws
/// std::system_error.
[[nodiscard]] Guardian start_guardian(const std::string& nic, const BridgeJournals& folder,
                                      const BridgeStep& before_step = {});

}  // namespace culvert
