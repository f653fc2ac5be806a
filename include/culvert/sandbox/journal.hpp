// What a sandbox has changed at its host and would outlive its process: enough for any process to take it back.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/base/mac_address.hpp"
#include "culvert/io/network_object.hpp"
#include "culvert/io/process_identity.hpp"
#include "culvert/io/record_folder.hpp"
#include "culvert/io/sysctl.hpp"
#include "culvert/netns/network_namespace.hpp"

namespace culvert {

inline constexpr std::string_view sandbox_journal_folder = "/run/culvert/sandbox";

/// Told what people should know, one sentence without its end.
using SaySandbox = std::function<void(const std::string&)>;

/// A bridge that a sandbox made.
struct MadeBridge {
  std::string name;
  MacAddress mac;
  friend bool operator==(const MadeBridge&, const MadeBridge&) = default;
};

struct SandboxJournal {
  ProcessIdentity owner;
  std::uint64_t process_space = 0;      ///< the inode of the owner's PID namespace, in which its number means something
  NamespaceIdentity where;              ///< the network namespace outside
  LinkName link;                        ///< the end outside, after which the table is named
  std::vector<KernelSetting> settings;  ///< as they were before the first sandbox that needs them
  std::optional<MadeBridge> bridge;     ///< likewise: of the first sandbox at it
  friend bool operator==(const SandboxJournal&, const SandboxJournal&) = default;
};

[[nodiscard]] std::string to_text(const SandboxJournal& journal);
/// Nothing for a text that no journal has.
[[nodiscard]] std::optional<SandboxJournal> sandbox_journal_from_text(std::string_view text);

/// Of the calling process. Throws std::system_error.
[[nodiscard]] std::uint64_t own_process_space();

/// All journals of sandboxes, named after their owners. Calls throw std::exception that name the file.
class SandboxJournals {
 public:
  /// Makes the folder, and the one in which it lies.
  explicit SandboxJournals(const std::string& path = std::string(sandbox_journal_folder));

  /// While the result lives no other process holds the same.
  [[nodiscard]] UniqueFd lock() const { return records_.lock(); }
  /// The same, or nothing when another process has held it all of this time.
  [[nodiscard]] std::optional<UniqueFd> try_lock_for(unsigned milliseconds) const {
    return records_.try_lock_for(milliseconds);
  }
  /// All but that of `own`'s owner. `say` is told of those that are not to be trusted or make no sense.
  [[nodiscard]] std::vector<SandboxJournal> others(const SandboxJournal& own, const SaySandbox& say) const;
  void write(const SandboxJournal& journal) const;
  void remove(const SandboxJournal& journal) const;

 private:
  RecordFolder records_;
};

}  // namespace culvert
