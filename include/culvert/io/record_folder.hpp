// A folder of small files in which one process writes down what another may have to undo.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// Names in a folder but "." and ".."; none if it cannot be read.
[[nodiscard]] std::vector<std::string> names_in(const std::string& folder);
/// What is left to read of an open file; nothing if that fails or is more than `most` bytes.
[[nodiscard]] std::optional<std::string> read_all(const UniqueFd& file, std::size_t most);

/// Files NAME.journal in a folder of this user alone. Calls throw std::system_error or std::runtime_error that name the
/// file.
class RecordFolder {
 public:
  /// Made if missing, mode 0700; refused if others may write into it.
  explicit RecordFolder(std::string path);

  /// While the result lives no other process holds the same.
  [[nodiscard]] UniqueFd lock() const;
  /// The same, or nothing when another process has held it all of this time.
  [[nodiscard]] std::optional<UniqueFd> try_lock_for(unsigned milliseconds) const;
  /// Nothing if there is none. Throws if others may have written it, or it is larger than a MiB.
  [[nodiscard]] std::optional<std::string> read(const std::string& name) const;
  /// Replaces the file as a whole, mode 0600, and returns when it is on its medium.
  void write(const std::string& name, const std::string& text) const;
  void remove(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] std::string path_of(const std::string& name, std::string_view ending = ".journal") const;

 private:
  [[nodiscard]] UniqueFd open_lock() const;
  std::string path_;
};

}  // namespace culvert
