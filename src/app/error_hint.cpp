// Hints for errors that have little to do with the step that failed.
#include "error_hint.hpp"

#include <system_error>

namespace culvert {

std::string hint_for(const std::exception& error) {
  const auto* const of_system = dynamic_cast<const std::system_error*>(&error);
  if (of_system == nullptr) return "";
  if (of_system->code() == std::errc::too_many_files_open) {
    return " (this process may have no more files open at once: raise ulimit -n)";
  }
  if (of_system->code() == std::errc::too_many_files_open_in_system) {
    return " (the system has as many files open as may be: raise sysctl fs.file-max)";
  }
  return "";
}

}  // namespace culvert
