// The sequence in which parent and child make a sandbox.
#include "culvert/sandbox/container.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <system_error>

#include "culvert/base/fields.hpp"
#include "culvert/base/printable.hpp"
#include "culvert/io/netlink.hpp"
#include "culvert/io/record_folder.hpp"
#include "culvert/sandbox/covering.hpp"
#include "culvert/sandbox/first_process.hpp"
#include "culvert/sandbox/isolation.hpp"

namespace culvert {

namespace {

constexpr char kind_settled = 's';  // up
constexpr char kind_go = 'g';       // down

void bring_up_loopback() {
  Netlink netlink;
  if (const auto lo = netlink.find_link("lo")) netlink.set_up(lo->index, true);
}

void close_what_exec_would() {
  for (const std::string& name : names_in("/proc/self/fd")) {
    const auto fd = number_from<int>(name);
    if (fd && *fd > STDERR_FILENO && (::fcntl(*fd, F_GETFD) & FD_CLOEXEC) != 0) ::close(*fd);
  }
}

int live(const ContainerWish& wish, const ContainerOptions& options, const HeldSignals& signals, Channel& parent) {
  settle(wish, options.connection.before_step);
  parent.send(kind_settled);
  // Without a message there is no parent any more.
  if (!parent.receive()) return UnsharedChild::status_failed;
  if (options.before_exec) options.before_exec();
  return become_first_process(signals, wish.command);
}

}  // namespace

void settle(const ContainerWish& wish, const StepHook& before_step) {
  const auto step = [&](std::string_view what) {
    if (before_step) before_step(what);
  };
  step("set the host name");
  if (::sethostname(wish.host_name.data(), wish.host_name.size()) != 0) {
    throw std::system_error(errno, std::system_category(), "setting the host name to '" + wish.host_name + "'");
  }
  step("mount /proc and /sys");
  show_own_processes_and_interfaces(wish.has_own_network);
  if (wish.has_own_network) {
    step("bring lo up");
    bring_up_loopback();
  }
  if (wish.connection && wish.connection->way != ConnectionWish::Way::Host) {
    step("name resolvers");
    name_reachable_resolvers();
  }
  if (!wish.is_isolated) return;
  step("cover what is outside");
  cover_what_is_outside(wish.writable, wish.hidden);
  step("close descriptors");
  keep_only_standard_streams();
  step("give up capabilities");
  give_up_capabilities();
  step("forbid system calls");
  forbid_system_calls();
}

int run_container(const ContainerWish& wish, const ContainerOptions& options) {
  HeldSignals signals;
  const NewNamespaces namespaces{.network = wish.has_own_network,
                                 .mounts = true,
                                 .processes = true,
                                 .host_name = true,
                                 .ipc = true,
                                 .ids = wish.ids};
  const auto life = [&](Channel& parent) { return live(wish, options, signals, parent); };
  std::optional<Connection> connection;
  UnsharedChild child = UnsharedChild::start(namespaces, life);
  (void)child.await(kind_settled);
  if (wish.connection) {
    const NetworkNamespace inside = NetworkNamespace::open("pid:" + std::to_string(child.pid()));
    connection.emplace(*wish.connection, inside, options.connection);
    if (options.on_connection) options.on_connection(*connection);
  }
  try {
    child.channel().send(kind_go);
  } catch (const std::system_error&) {
    // Somebody has killed it.
    return child.wait();
  }
  const int status = wait_for_first_process(child, signals);
  if (const auto signal = signals.common_end(status); signal && options.on_common_end) options.on_common_end(*signal);
  return status;
}

void end_as_container(const ContainerWish& wish, const ContainerOptions& options) noexcept {
  int status = UnsharedChild::status_failed;
  try {
    close_what_exec_would();
    sigset_t none{};
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    status = run_container(wish, options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "culvert: %s\n", printable(error.what()).c_str());
  }
  std::fflush(nullptr);
  ::_exit(status);
}

}  // namespace culvert
