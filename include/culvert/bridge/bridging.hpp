// What the user can do: attach a NIC to a bridge, confirm that, detach it, and have undone what nobody confirmed.
#pragma once

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "culvert/bridge/attachment.hpp"
#include "culvert/bridge/journal.hpp"
#include "culvert/bridge/preflight.hpp"

namespace culvert {

struct BridgingOptions {
  std::string folder = std::string(bridge_journal_folder);
  SurroundingsFiles files;
  BridgeStep before_step;  ///< of the applier
  BridgeStep before_step_of_guardian;
  /// How long a gateway may take to answer on the NIC and on the bridge, without spanning tree.
  std::chrono::milliseconds patience_before{1000};
  std::chrono::milliseconds patience_after{3000};
  std::function<void(const std::string&)> say;  ///< told what a person should know
};

/// Nothing was changed, and the reason is not a failure.
class BridgeRefused : public std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// Something was changed and could not be taken back as a whole; the journal stays.
class NotTakenBack : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// In the calling thread's network namespace. With wish.confirm there is a guardian before the first change, and the
/// gateways that answered on the NIC must answer on the bridge, too. Returns false if the NIC is in the
/// bridge already. Throws BridgeRefused, NotTakenBack, or what kept it from being done, with everything as before.
bool attach_nic(const BridgeWish& wish, const BridgingOptions& options = {});
/// Lets what was attached stay: that of `nic`, or all if it is empty. Returns their names. Throws if there is none.
std::vector<std::string> confirm_nics(const std::string& nic, const BridgingOptions& options = {});
/// Gives a NIC back what it had. False if it is not attached.
bool detach_nic(const std::string& nic, const BridgingOptions& options = {});

enum class RestoreScope : std::uint8_t {
  Unwatched,    ///< what a killed process left and no guardian will take back
  Unconfirmed,  ///< also what a guardian waits for
};
/// Takes back what was not confirmed; returns the NICs. Throws NotTakenBack.
std::vector<std::string> restore_nics(RestoreScope scope, const BridgingOptions& options = {});

/// All that are attached or on the way. Journals that cannot be read are told to options.say.
[[nodiscard]] std::vector<BridgeJournal> attached_nics(const BridgingOptions& options = {});

}  // namespace culvert
