// culvert NAME: a device that is set through its control socket, started the way wireguard-go is.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "commands.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/io/netlink.hpp"
#include "culvert/protocol/limits.hpp"
#include "culvert/runtime/busy_poll.hpp"
#include "culvert/runtime/control_socket.hpp"
#include "culvert/runtime/daemon.hpp"
#include "culvert/runtime/log.hpp"

namespace culvert {
namespace {

/// A descriptor inherited under its number in environment variable `name`, which is then removed.
UniqueFd inherited(const char* name) {
  const char* text = std::getenv(name);
  if (!text || *text == '\0') return UniqueFd();
  int fd = -1;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), fd);
  if (error != std::errc() || *end != '\0' || fd < 0) {
    throw std::runtime_error(std::string(name) + "=" + printable(text) + " is not the number of a descriptor");
  }
  ::unsetenv(name);
  return UniqueFd(fd);
}

TunDevice open_tun(const std::string& name) {
  if (UniqueFd given = inherited("WG_TUN_FD"); given.is_open()) return TunDevice::adopt(std::move(given));
  TunDevice tun = TunDevice::create(name, true);
  Netlink netlink;
  if (const auto link = netlink.find_link(name)) netlink.set_mtu(link->index, limits::default_mtu);
  return tun;
}

}  // namespace

int bare_command(const std::string& name, bool foreground) {
  if (!is_interface_name(name)) {
    throw std::runtime_error(printable(name) +
                             " is neither a command nor a name for a device (1 to 15 letters, digits and _=+.-)");
  }
  const char* stay = std::getenv("WG_PROCESS_FOREGROUND");
  const bool is_in_front = foreground || (stay && std::strcmp(stay, "1") == 0);
  Daemon daemon(is_in_front);
  std::signal(SIGPIPE, SIG_IGN);

  boost::asio::io_context io(1);
  boost::asio::signal_set signals(io, SIGINT, SIGTERM, SIGHUP);
  signals.async_wait([&io](boost::system::error_code failed, int) {
    if (!failed) io.stop();
  });
  TunDevice tun = open_tun(name);
  Device device(io, NetworkNamespace::current(), 0, 0);
  device.engine()->set_cipher(CipherChoice::automatic());
  device.on_device_lost = [&io, &name] {
    spdlog::info("device {} was deleted", name);
    io.stop();
  };
  std::optional<ControlSocket> control;
  if (UniqueFd given = inherited("WG_UAPI_FD"); given.is_open()) {
    control.emplace(io, device, std::move(given));
  } else {
    control.emplace(io, device, name);
    control->watch_file([&io] {
      spdlog::info("the control socket was removed");
      io.stop();
    });
  }
  device.keep_awake();
  device.carry(&tun);
  spdlog::info("{} is up and waits to be set", name);
  // What is no command is a device, also when it was meant to be one.
  if (!is_in_front && ::isatty(STDERR_FILENO) != 0) {
    fmt::print(stderr,
               "made device {0}, which waits to be set by wg; ip link del {0} ends it (culvert --help: all commands)\n",
               name);
  }
  // As with wireguard-go: whoever names a level wants to read on.
  daemon.ready(std::getenv("LOG_LEVEL") && spdlog::get_level() != spdlog::level::off);
  run_busily(io, busy_poll_of(std::nullopt));
  spdlog::info("{} is going down", name);
  device.carry(nullptr);
  return 0;
}

}  // namespace culvert
