// Two processes: this one carries packets where the user is, its child is in the namespace and starts the command.
#include "culvert/exec/behind_tunnel.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <system_error>

#include "culvert/exec/probes.hpp"
#include "culvert/exec/resolver_files.hpp"
#include "culvert/io/netlink.hpp"
#include "culvert/runtime/busy_poll.hpp"
#include "culvert/runtime/control_socket.hpp"
#include "culvert/runtime/log.hpp"
#include "culvert/runtime/tunnel.hpp"
#include "culvert/unshare/inner_processes.hpp"
#include "culvert/unshare/mounts.hpp"
#include "culvert/unshare/supervision.hpp"
#include "verification.hpp"

namespace culvert {
namespace asio = boost::asio;
namespace {

constexpr char kind_device = 'D';  // up, with its descriptors
constexpr char kind_ready = 'R';   // up, with what resolv.conf reads as
constexpr char kind_probe = 'P';   // down, with a ProbeOrder
constexpr char kind_answer = 'A';  // up
constexpr char kind_go = 'G';      // down

std::uint64_t home_of(const TunDevice& tun) noexcept {
  const auto space = tun.network_namespace();
  struct stat status {};
  return space && ::fstat(space->get(), &status) == 0 ? status.st_ino : 0;
}

bool is_end(int number) {
  return number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
}

/// What the child does, in its namespaces.
class Inside {
 public:
  Inside(Config& config, const std::string& name, const std::vector<std::string>& command,
         const BehindTunnelOptions& options, HeldSignals& signals)
      : config_(config), name_(name), command_(command), options_(options), signals_(signals) {}

  int live(Channel& parent) {
    forget_keys();
    make_device(parent);
    parent.send(kind_ready, make_surroundings());
    return wait_and_run(parent);
  }

 private:
  void step(std::string_view what) const {
    if (options_.before_step) options_.before_step(what);
  }

  // Of this process's copy: what it does takes none.
  void forget_keys() const {
    config_.private_key = SecretKey();
    for (PeerConfig& peer : config_.peers) peer.preshared_key = PresharedKey();
  }

  void make_device(const Channel& parent) const {
    step("bring up lo");
    Netlink netlink;
    const auto lo = netlink.find_link("lo");
    if (!lo) throw std::runtime_error("there is no lo in the new network namespace");
    netlink.set_up(lo->index, true);
    DeviceSetup setup;
    setup.before_step = options_.before_step;
    const TunDevice tun = set_up_device(name_, config_, NetworkNamespace::current(), setup);
    step("hand the device over");
    parent.send(kind_device, "", tun.descriptors());
  }

  [[nodiscard]] std::string make_surroundings() {
    step("keep mounts apart");
    const std::string where = working_folder();
    keep_mounts_to_oneself();
    // With them the command could lead the tunnel elsewhere.
    for (const std::string& folder : control_folders()) hide_folder(folder);
    // Where these two are not allowed the old ones only show too much, or other numbers of processes.
    mount_own_proc();
    mount_own_sys();
    step("set DNS");
    resolver_.emplace(config_.dns);
    if (const std::string& sysctl = resolver_->files().exhausted_sysctl(); !sysctl.empty()) {
      spdlog::warn(
          "sysctl {} is too low: should others replace this host's resolv.conf, the command has its own back "
          "only within a second",
          sysctl);
    }
    return_to_working_folder(where);
    share_mounts_with_namespaces_within();
    return resolver_->resolv_conf();
  }

  int wait_and_run(const Channel& parent) {
    const SideJob keep_files{resolver_->files().fd(), [this] { resolver_->files().attend(); }};
    std::array<pollfd, 3> ready{{{parent.fd(), POLLIN, 0}, {signals_.fd(), POLLIN, 0}, {keep_files.fd, POLLIN, 0}}};
    for (;;) {
      if (::poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR) {
        throw std::system_error(errno, std::system_category(), "waiting to begin");
      }
      while (const auto signal = signals_.take()) {
        if (is_end(signal->number)) return 128 + signal->number;
      }
      if (ready[2].revents != 0) keep_files.attend();
      if (ready[0].revents == 0) continue;
      const auto message = parent.receive();
      if (!message) return UnsharedChild::status_failed;
      if (message->kind == kind_probe) parent.send(kind_answer, carry_out(message->text));
      if (const int number = handed_on(*message); is_end(number)) return 128 + number;
      if (message->kind == kind_go) break;
    }
    step("start the command");
    return supervise(parent, signals_, command_, options_.before_exec, keep_files);
  }

  Config& config_;
  const std::string& name_;
  const std::vector<std::string>& command_;
  const BehindTunnelOptions& options_;
  HeldSignals& signals_;
  std::optional<ConfinedResolver> resolver_;
};

/// What this process does beside it.
class Outside {
 public:
  Outside(UnsharedChild& child, HeldSignals& signals, const std::vector<std::string>& command,
          const BehindTunnelOptions& options)
      : child_(child), program_(child, signals), command_(command), options_(options), ready_(io_) {}

  /// Where the control socket is to be, if there is to be one.
  std::optional<std::string> control_folder;

  int live(Config config, const std::string& name) {
    step("take the device over");
    DeviceSetup setup;
    std::uint64_t home = 0;
    setup.obtain = [this, &home] {
      TunDevice tun = TunDevice::assemble(child_.await(kind_device).descriptors);
      home = home_of(tun);
      return tun;
    };
    tunnel_.emplace(io_, std::move(config), name, std::move(setup));
    serve_status(home);
    program_.on_message = [this](const ChannelMessage& message) { on_message(message); };
    const int copy = ::fcntl(program_.fd(), F_DUPFD_CLOEXEC, 3);
    if (copy < 0) throw std::system_error(errno, std::system_category(), "duplicating a descriptor");
    ready_.assign(copy);
    await_child();
    run_busily(io_, busy_poll_of(tunnel_->config().busy_poll));
    if (!program_.failure().empty()) spdlog::error("{}", printable(program_.failure()));
    return status_;
  }

 private:
  void step(std::string_view what) const {
    if (options_.before_step) options_.before_step(what);
  }

  /// A tunnel that nobody can look at is as good as any.
  void serve_status(std::uint64_t home) {
    DeviceLabels& labels = tunnel_->device().labels;
    labels.device = tunnel_->name();
    labels.device_home = home;
    if (!command_.empty()) labels.command = command_.front();
    if (!control_folder) return;
    try {
      control_.emplace(io_, tunnel_->device(), name_of_exec(::getpid()), *control_folder);
      // Should a path lead there all the same.
      control_->is_refused = is_further_inside;
    } catch (const std::system_error& error) {
      spdlog::debug("{}", printable(error.what()));
    }
  }

  void end(int status) {
    status_ = status;
    io_.stop();
  }

  void await_child() {
    ready_.async_wait(asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code failed) {
      if (failed) return;
      if (const auto status = program_.attend()) return end(*status);
      await_child();
    });
  }

  void on_message(const ChannelMessage& message) {
    if (message.kind == kind_ready) {
      if (options_.verify) return verify(message.text);
      start_command();
    } else if (message.kind == kind_answer && verification_) {
      verification_->on_answer(message.text);
    }
  }

  void start_command() {
    step("tell to start the command");
    child_.channel().send(kind_go);
  }

  void verify(const std::string& resolv_conf) {
    step("verify");
    std::vector<NetworkNamespace> outside;
    outside.push_back(NetworkNamespace::current());
    const NamespaceIdentity here = outside.front().identity();
    const NetworkNamespace& sockets = tunnel_->device().socket_namespace();
    if (sockets.identity() != here) outside.push_back(NetworkNamespace::open(tunnel_->config().socket_namespace));
    ProbeOrder order;
    order.device = tunnel_->name();
    order.resolv_conf = resolv_conf;
    order.outside = here;
    order.addresses = addresses_to_probe(tunnel_->config(), sockets);
    Verification::Settings settings;
    settings.length = *options_.verify;
    settings.say = options_.say;
    settings.tell_inside = [this](const std::string& text) { child_.channel().send(kind_probe, text); };
    settings.done = [this](bool is_tight) {
      if (!is_tight) return end(UnsharedChild::status_failed);
      if (command_.empty()) return end(0);
      start_command();
    };
    verification_.emplace(io_, std::move(settings), std::move(order), std::move(outside));
    verification_->begin();
  }

  UnsharedChild& child_;
  SupervisedChild program_;
  const std::vector<std::string>& command_;
  const BehindTunnelOptions& options_;
  asio::io_context io_{1};
  asio::posix::stream_descriptor ready_;
  std::optional<Tunnel> tunnel_;
  std::optional<ControlSocket> control_;
  std::optional<Verification> verification_;
  int status_ = UnsharedChild::status_failed;
};

}  // namespace

int run_behind_tunnel(Config config, const std::string& name, const std::vector<std::string>& command,
                      const BehindTunnelOptions& options) {
  HeldSignals signals;
  if (options.before_step) options.before_step("make namespaces");
  // Before there is a namespace in which they are to be hidden.
  auto control_folder = make_own_control_folder();
  if (control_folder) sweep_control_folder(*control_folder);
  NewNamespaces namespaces;
  namespaces.ids = id_map_if_needed(IdMap::Own);
  Inside inside(config, name, command, options, signals);
  UnsharedChild child = UnsharedChild::start(namespaces, [&](Channel& parent) { return inside.live(parent); });
  Outside outside(child, signals, command, options);
  outside.control_folder = std::move(control_folder);
  const int status = outside.live(std::move(config), name);
  if (const auto signal = signals.common_end(status); signal && options.on_common_end) options.on_common_end(*signal);
  return status;
}

}  // namespace culvert
