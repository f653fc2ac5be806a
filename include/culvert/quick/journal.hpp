// A file that says what a process has changed on this machine, so that another can undo it when that one was killed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/io/process_identity.hpp"
#include "culvert/io/record_folder.hpp"
#include "culvert/netns/network_namespace.hpp"
#include "culvert/quick/undo.hpp"

namespace culvert {

/// Where journals lie.
inline constexpr std::string_view journal_folder = "/run/culvert";

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

/// The folder of all journals.
class JournalFolder {
 public:
  explicit JournalFolder(std::string path = std::string(journal_folder)) : records_(std::move(path)) {}

  /// While the result lives no other process holds the same. Throws std::system_error.
  [[nodiscard]] UniqueFd lock() const { return records_.lock(); }
  /// Nothing if there is none. Throws if the file is not to be trusted or makes no sense.
  [[nodiscard]] std::optional<JournalEntries> read(const std::string& name) const;
  /// All but that of `name`.
  [[nodiscard]] std::vector<JournalEntries> others(const std::string& name) const;
  /// Replaces the file as a whole.
  void write(const JournalEntries& entries) const;
  void remove(const std::string& name) const { records_.remove(name); }
  [[nodiscard]] std::string path_of(const std::string& name, std::string_view ending = ".journal") const {
    return records_.path_of(name, ending);
  }

 private:
  RecordFolder records_;
};

/// Whether what would be undone serves other tunnels of the same namespace, too: the last of them undoes it.
[[nodiscard]] bool is_needed_by_others(const Undo& undo, const NamespaceIdentity& where,
                                       const std::vector<JournalEntries>& others);

/// Undoes what a dead process left behind and removes its journal; what fails is logged and passed over. Returns
/// whether all was undone.
bool undo_leftovers(const JournalFolder& folder, const JournalEntries& left, const DnsPrograms& dns = {});

}  // namespace culvert
