// A file that says what a process has changed on this machine, so that another can undo it when that one was killed.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/io/unique_fd.hpp"
#include "culvert/netns/network_namespace.hpp"
#include "culvert/quick/undo.hpp"

namespace culvert {

/// Where journals lie.
inline constexpr std::string_view journal_folder = "/run/culvert";

/// A process, told from another that has its number later.
struct ProcessIdentity {
  pid_t pid = 0;
  std::uint64_t start_time = 0;  ///< in clock ticks since boot
  [[nodiscard]] static ProcessIdentity self();
  /// Of a process with at least one living thread; nothing if there is none.
  [[nodiscard]] static std::optional<ProcessIdentity> of(pid_t pid);
  [[nodiscard]] bool is_alive() const { return of(pid) == *this; }
  /// Returns when the process is gone, if its first thread is dead already and others are not; after two seconds
  /// anyway.
  void await_end_if_dying() const;
  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

/// What a journal says.
struct JournalEntries {
  std::string name;  ///< of the device
  ProcessIdentity owner;
  NamespaceIdentity where;            ///< the network namespace in which all was done
  std::string where_name;             ///< in the user's words; may be empty
  std::uint32_t table = 0;            ///< the routing table it claims; 0: none
  std::vector<Undo> undos;            ///< in the order in which things were done
  std::vector<std::string> failures;  ///< what its owner could not undo
};

[[nodiscard]] std::string to_text(const JournalEntries& entries);
/// Nothing for a text that no journal has.
[[nodiscard]] std::optional<JournalEntries> journal_from_text(std::string_view name, std::string_view text);

/// The folder of all journals. Made if missing, mode 0700; refused if others may write into it.
class JournalFolder {
 public:
  explicit JournalFolder(std::string path = std::string(journal_folder));

  /// While the result lives no other process holds the same. Throws std::system_error.
  [[nodiscard]] UniqueFd lock() const;
  /// Nothing if there is none. Throws if the file is not to be trusted or makes no sense.
  [[nodiscard]] std::optional<JournalEntries> read(const std::string& name) const;
  /// All but that of `name`.
  [[nodiscard]] std::vector<JournalEntries> others(const std::string& name) const;
  /// Replaces the file as a whole.
  void write(const JournalEntries& entries) const;
  void remove(const std::string& name) const;
  [[nodiscard]] std::string path_of(const std::string& name, std::string_view ending = ".journal") const;

 private:
  std::string path_;
};

/// The network namespace with this identity, if it can be found: the caller's, by its name, under /run/netns, or that
/// of any process.
[[nodiscard]] std::optional<NetworkNamespace> find_namespace(const NamespaceIdentity& identity,
                                                             const std::string& name);

/// Whether what would be undone serves other tunnels of the same namespace, too: the last of them undoes it.
[[nodiscard]] bool is_needed_by_others(const Undo& undo, const NamespaceIdentity& where,
                                       const std::vector<JournalEntries>& others);

/// Undoes what a dead process left behind and removes its journal; what fails is logged and passed over. Returns
/// whether all was undone.
bool undo_leftovers(const JournalFolder& folder, const JournalEntries& left, const DnsPrograms& dns = {});

}  // namespace culvert
