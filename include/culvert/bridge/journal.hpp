// What a NIC was before it became a port, and how far that has come: enough for any process to take it back.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/base/mac_address.hpp"
#include "culvert/base/time.hpp"
#include "culvert/io/network_object.hpp"
#include "culvert/io/process_identity.hpp"
#include "culvert/io/record_folder.hpp"
#include "culvert/io/sysctl.hpp"
#include "culvert/netns/network_namespace.hpp"

namespace culvert {

/// Where the journals of tunnels lie, and below it those of NICs, NIC.journal: a tunnel may have any name.
inline constexpr std::string_view tunnel_journal_folder = "/run/culvert";
inline constexpr std::string_view bridge_journal_folder = "/run/culvert/bridge";

/// A NIC as it was.
struct NicSnapshot {
  Timestamp taken;  ///< lifetimes count from here
  std::uint32_t mtu = 0;
  MacAddress mac;
  bool is_up = false;
  std::vector<KernelSetting> settings;  ///< those that will change
  std::vector<NetworkObject> objects;
  friend bool operator==(const NicSnapshot&, const NicSnapshot&) = default;
};

struct BridgeJournal {
  enum class State : std::uint8_t {
    Applying,   ///< the applier is at it, or was
    Applied,    ///< waits to be confirmed until the deadline
    Confirmed,  ///< stays until it is detached
  };
  State state = State::Applying;
  LinkName nic;
  LinkName bridge;             ///< index 0: not known yet
  MacAddress bridge_mac;       ///< of a bridge of ours
  bool is_own_bridge = false;  ///< made by us, to be removed by us
  std::vector<LinkName> taps;  ///< further ports that we put into it
  NamespaceIdentity where;
  ProcessIdentity applier;
  std::optional<ProcessIdentity> guardian;
  std::optional<Timestamp> deadline;
  NicSnapshot before;

  /// Whether a living process will take it back or complete it without being told.
  [[nodiscard]] bool is_watched() const;
  friend bool operator==(const BridgeJournal&, const BridgeJournal&) = default;
};

[[nodiscard]] std::string_view word_for(BridgeJournal::State state) noexcept;
[[nodiscard]] std::string to_text(const BridgeJournal& journal);
/// Nothing for a text that no journal has.
[[nodiscard]] std::optional<BridgeJournal> bridge_journal_from_text(std::string_view text);

/// All journals of NICs. Calls throw std::exception that name the file.
class BridgeJournals {
 public:
  /// Makes the folder, and the one in which it lies.
  explicit BridgeJournals(const std::string& path = std::string(bridge_journal_folder));

  [[nodiscard]] const RecordFolder& records() const noexcept { return records_; }
  [[nodiscard]] std::optional<BridgeJournal> read(const std::string& nic) const;
  void write(const BridgeJournal& journal) const { records_.write(journal.nic.name, to_text(journal)); }
  void remove(const std::string& nic) const { records_.remove(nic); }

 private:
  RecordFolder records_;
};

}  // namespace culvert
