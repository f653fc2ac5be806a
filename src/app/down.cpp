// culvert down: from outside, the end of a tunnel.
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "commands.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/io/netlink.hpp"
#include "culvert/quick/journal.hpp"
#include "culvert/quick/setup.hpp"
#include "culvert/runtime/log.hpp"

namespace culvert {
namespace {

/// Ends a process and waits until it is gone: it has hooks to run, which may take their time.
void end_and_await(const ProcessIdentity& process, const std::string& name) {
  const UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  // Only now is the number sure to stay this process's.
  if (!handle.is_open() || !process.is_alive()) return;
  if (::syscall(SYS_pidfd_send_signal, handle.get(), SIGTERM, nullptr, 0) != 0 && errno != ESRCH) {
    throw std::system_error(errno, std::system_category(), "ending process " + std::to_string(process.pid));
  }
  pollfd gone{handle.get(), POLLIN, 0};
  constexpr int impatience = 10'000;
  while (true) {
    const int ready = ::poll(&gone, 1, impatience);
    if (ready > 0) return;
    if (ready == 0) spdlog::warn("{}: process {} is still at it", name, process.pid);
    if (ready < 0 && errno != EINTR) throw std::system_error(errno, std::system_category(), "waiting for the end");
  }
}

}  // namespace

int down_command(const std::string& file_or_name) {
  const std::string name = device_name_of(config_path_of(file_or_name));
  const JournalFolder folder;
  const auto journal = folder.read(name);
  if (!journal) {
    std::string why = name + " is not up: there is no " + folder.path_of(name);
    if (Netlink().find_link(name)) {
      why += ", so that it was not culvert up or run that made the device of that name (try wg-quick down " + name +
             ", or ip link del " + name + ")";
    }
    throw std::runtime_error(why);
  }
  const bool was_alive = journal->owner.is_alive();
  if (was_alive) end_and_await(journal->owner, name);
  // Without a journal the process has undone all of it.
  return clean_up_after(folder, name).value_or(true) ? 0 : 1;
}

}  // namespace culvert
