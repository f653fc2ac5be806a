// Records of several lines of fields, the first line of which says what they are.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/base/fields.hpp"
#include "culvert/io/process_identity.hpp"

namespace culvert {

using Fields = std::vector<std::string>;

/// Calls visit(fields, line) for each line behind the first. False if the text does not begin with `first_line`, ends
/// within a line, holds one that has no fields, or a visit says false.
template <class Visit>
[[nodiscard]] bool read_record(std::string_view text, std::string_view first_line, Visit visit) {
  for (bool is_first = true; is_first || !text.empty(); is_first = false) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return false;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (is_first && line != first_line) return false;
    if (is_first) continue;
    const auto fields = split_fields(line);
    if (!fields || !visit(*fields, line)) return false;
  }
  return true;
}

/// A line that names a process: KIND PID START-TIME.
[[nodiscard]] inline Fields process_line(std::string_view kind, const ProcessIdentity& process) {
  return {std::string(kind), std::to_string(process.pid), std::to_string(process.start_time)};
}
[[nodiscard]] inline std::optional<ProcessIdentity> process_from(const Fields& fields) {
  if (fields.size() != 3) return std::nullopt;
  const auto pid = number_from<pid_t>(fields[1]);
  const auto start = number_from<std::uint64_t>(fields[2]);
  if (!pid || *pid <= 0 || !start) return std::nullopt;
  return ProcessIdentity{*pid, *start};
}

}  // namespace culvert
