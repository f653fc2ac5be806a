// A file that is under its name as a whole or not at all.
#pragma once

#include <string>
#include <string_view>

namespace culvert {

/// What a program writes at its end, by a name that is checked when it begins. One thread at a time.
class WholeFile {
 public:
  /// Sees whether `path` can be written, by making a file beside it for a moment. What is there stays. `what` is the
  /// work as messages name it: "writing the report". Throws std::system_error.
  WholeFile(std::string path, std::string what);

  /// Puts `text` there: on the disk first and then under its name, with the permissions of the file that was there, and
  /// where a link leads rather than in place of the link. What is no regular file (a pipe, a terminal) is written to.
  /// No signal ends the process meanwhile. Throws std::system_error; what was there is then unchanged and nothing lies
  /// beside it.
  void write(std::string_view text);

 private:
  std::string path_;  ///< behind all links
  std::string what_;  ///< with the name as it was given
  bool is_regular_ = true;
};

}  // namespace culvert
