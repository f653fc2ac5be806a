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
namespace {

/// What wg-quick would do and this command does not: better refused than silently left undone.
void refuse_unsupported(const Config& config) {
  std::string_view key;
  if (!config.dns.empty()) key = "DNS";
  if (!config.pre_up.empty() || !config.post_up.empty()) key = "PreUp and PostUp";
  if (!config.pre_down.empty() || !config.post_down.empty()) key = "PreDown and PostDown";
  if (config.save_config) key = "SaveConfig";
  if (!key.empty()) {
    throw std::runtime_error(
        fmt::format("{}: {} cannot be honoured yet; take it out of the file and do it by hand", config.path, key));
  }
}

}  // namespace

int run_command(const std::string& file) {
  const std::string path = config_path_of(file);
  Config config = read_config_file(path);
  refuse_unsupported(config);
  std::string name = device_name_of(path);
  std::signal(SIGPIPE, SIG_IGN);

  boost::asio::io_context io(1);
  // Before anything is set up, so that a signal during set-up undoes it too.
  boost::asio::signal_set signals(io, SIGINT, SIGTERM, SIGHUP);
  signals.async_wait([&io](boost::system::error_code failed, int) {
    if (!failed) io.stop();
  });
  Tunnel tunnel(io, std::move(config), std::move(name));
  const ControlSocket control(io, tunnel.device(), tunnel.name());
  spdlog::info("{} is up, listening on port {}, {} peer(s)", tunnel.name(), tunnel.device().sockets().port(),
               tunnel.device().engine().peers().size());
  io.run();
  spdlog::info("{} is going down", tunnel.name());
  return 0;
}

int check_command(const std::string& file) {
  const std::string path = config_path_of(file);
  const Config config = read_config_file(path);
  refuse_unsupported(config);
  const std::string name = device_name_of(path);
  // The namespaces themselves may not exist yet.
  if (config.device_namespace == config.socket_namespace) refuse_default_route_loop(config);
  fmt::print("{}: OK, device {}, {} address(es), {} peer(s)\n", path, name, config.addresses.size(),
             config.peers.size());
  return 0;
}

}  // namespace culvert
