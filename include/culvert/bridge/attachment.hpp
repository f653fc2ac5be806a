// A NIC becomes a port of a bridge, with all that made it reachable moved there, and back.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/bridge/journal.hpp"
#include "culvert/bridge/preflight.hpp"
#include "culvert/io/netlink.hpp"

namespace culvert {

/// Told what comes next, before each change.
using BridgeStep = std::function<void(std::string_view)>;

/// The NIC as it is now, and what is to be done with it; `wish` is one that refusal_of() does not refuse. Changes
/// nothing. The caller fills in guardian and deadline and writes it down. Throws std::system_error.
[[nodiscard]] BridgeJournal plan_attachment(const BridgeWish& wish, const BridgeFacts& facts);

/// Does it, in the calling thread's network namespace. Each packet finds its way before, during and after each step, as
/// far as the kernel lets it: addresses and routes are at the bridge before they go from the NIC. Throws what a step
/// throws; then take_back() is due. Writes the number of a new bridge to the journal.
void attach(BridgeJournal& journal, const BridgeJournals& folder, bool has_stp, const BridgeStep& before_step = {});

/// The gateways by which the NIC is left and that answer on it now; each is given `patience` at most.
[[nodiscard]] std::vector<Address> answering_gateways(const BridgeJournal& journal, std::chrono::milliseconds patience);
/// Those of them that do not answer on the bridge.
[[nodiscard]] std::vector<Address> silent_gateways(const BridgeJournal& journal, std::vector<Address> gateways,
                                                   std::chrono::milliseconds patience);

/// Gives the NIC back what it has lost, and removes what attach() made, from any state in which that was interrupted,
/// also by the end of take_back() itself. What others did since stays: their addresses and routes go to the NIC where a
/// bridge of ours goes, which stays as long as it has ports that are not ours. In the network namespace of the journal.
/// Returns what could not be done.
[[nodiscard]] std::vector<std::string> take_back(const BridgeJournal& journal, const BridgeStep& before_step = {});

}  // namespace culvert
