// Files that tell whether their maker still lives.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "culvert/base/result.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// Makes a file that is locked (flock(2)) as long as the result is open: until the process ends, however it ends. With
/// its text and its lock it appears at once, where the file system can do that (O_TMPFILE). EEXIST if it is there.
[[nodiscard]] Result<UniqueFd> make_claimed_file(const std::string& path, std::string_view text, mode_t mode);

/// A file that its maker did not live to remove. Nobody else takes it while this is there.
struct DesertedFile {
  UniqueFd file;
  std::string text;  ///< up to 64 KiB
};
/// Nothing for a file that is not there, no regular one, or somebody's who lives.
[[nodiscard]] std::optional<DesertedFile> take_deserted_file(const std::string& path);

}  // namespace culvert
