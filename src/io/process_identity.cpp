// What /proc says of processes.
#include "culvert/io/process_identity.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "culvert/base/fields.hpp"
#include "culvert/io/record_folder.hpp"

namespace culvert {

namespace {

/// What /proc says of a process or thread.
struct TaskStatus {
  bool is_dead = false;
  std::uint64_t start_time = 0;  ///< in clock ticks since boot
};

std::optional<TaskStatus> status_in(const std::string& folder) {
  const UniqueFd file(::open((folder + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return std::nullopt;
  const auto text = read_all(file, 65536);
  // Field 2 is the name in brackets, which may contain anything; 3 is the state, 22 the start time.
  const std::size_t bracket = text ? text->rfind(')') : std::string::npos;
  if (bracket == std::string::npos) return std::nullopt;
  std::vector<std::string_view> fields;
  for (std::string_view rest = std::string_view(*text).substr(bracket + 1); !rest.empty();) {
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(' ')));
    const std::string_view field = rest.substr(0, rest.find(' '));
    rest.remove_prefix(field.size());
    fields.push_back(field);
  }
  if (fields.size() < 20) return std::nullopt;
  const auto start = number_from<std::uint64_t>(fields[19]);
  if (!start) return std::nullopt;
  // A zombie does nothing any more, whether its parent has noticed or not.
  return TaskStatus{fields[0] == "Z" || fields[0] == "X", *start};
}

/// A process whose first thread is dead lives on, and keeps its device, until the last is.
bool has_living_thread(const std::string& process) {
  return std::ranges::any_of(names_in(process + "/task"), [&](const std::string& thread) {
    const auto status = status_in(process + "/task/" + thread);
    return status && !status->is_dead;
  });
}

}  // namespace

ProcessIdentity ProcessIdentity::self() {
  const auto found = of(::getpid());
  if (!found) throw std::runtime_error("/proc does not show this process: is it mounted?");
  return *found;
}

std::optional<ProcessIdentity> ProcessIdentity::of(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  const auto process = status_in(folder);
  if (!process || (process->is_dead && !has_living_thread(folder))) return std::nullopt;
  return ProcessIdentity{pid, process->start_time};
}

void ProcessIdentity::await_end_if_dying() const {
  constexpr auto pause = std::chrono::milliseconds(10);
  for (auto patience = std::chrono::milliseconds(2000); patience > pause && is_alive(); patience -= pause) {
    const auto leader = status_in("/proc/" + std::to_string(pid));
    if (!leader || !leader->is_dead) return;
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace culvert
