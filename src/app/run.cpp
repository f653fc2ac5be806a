// culvert run: one tunnel in the foreground.
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>

#include "commands.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/runtime/control_socket.hpp"
#include "culvert/runtime/log.hpp"
#include "culvert/runtime/tunnel.hpp"

namespace culvert {

int run_command(const std::string& file) {
  const std::string path = config_path_of(file);
  Config config = read_config_file(path);
  std::string name = device_name_of(path);
  std::signal(SIGPIPE, SIG_IGN);

  boost::asio::io_context io(1);
  // Before anything is set up, so that a signal during set-up undoes it too.
  boost::asio::signal_set signals(io, SIGINT, SIGTERM, SIGHUP);
  signals.async_wait([&io](boost::system::error_code failed, int) {
    if (!failed) io.stop();
  });
  Tunnel tunnel(io, std::move(config), std::move(name));
  const ControlSocket control(io, tunnel);
  spdlog::info("{} is up, listening on port {}, {} peer(s)", tunnel.name(), tunnel.sockets().port(),
               tunnel.engine().peers().size());
  io.run();
  spdlog::info("{} is going down", tunnel.name());
  return 0;
}

int check_command(const std::string& file) {
  const std::string path = config_path_of(file);
  const Config config = read_config_file(path);
  const std::string name = device_name_of(path);
  fmt::print("{}: OK, device {}, {} address(es), {} peer(s)\n", path, name, config.addresses.size(), config.peers.size());
  return 0;
}

}  // namespace culvert
