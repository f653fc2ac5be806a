// Processes of PID namespaces further inside, as seen from outside.
#include "culvert/unshare/inner_processes.hpp"

#include <fcntl.h>

#include <cstddef>
#include <exception>
#include <optional>
#include <sstream>
#include <string>

#include "culvert/io/record_folder.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

namespace {

/// In how many PID namespaces it has a number (NSpid in proc_pid_status(5)), from that of the mounted /proc inwards.
/// Links in /proc/PID/ns would tell more, but not of processes of another user.
std::optional<std::size_t> depth_of(const std::string& process) {
  const UniqueFd file(::open(("/proc/" + process + "/status").c_str(), O_RDONLY | O_CLOEXEC));
  constexpr std::size_t most = 65536;
  const auto text = file.is_open() ? read_all(file, most) : std::nullopt;
  if (!text) return std::nullopt;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("NSpid:")) continue;
    std::istringstream words(line);
    std::size_t count = 0;
    for (std::string word; words >> word;) ++count;
    return count;
  }
  return std::nullopt;
}

}  // namespace

bool is_further_inside(pid_t pid) noexcept {
  if (pid == 0) return false;
  try {
    const auto here = depth_of("self");
    const auto there = depth_of(std::to_string(pid));
    return !here || !there || *there > *here;
  } catch (const std::exception&) {
    return true;
  }
}

}  // namespace culvert
