// culvert check, strip and save: what has to do with a file more than with a tunnel.
#include <fmt/format.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/quick/advice.hpp"
#include "culvert/quick/config_text.hpp"
#include "culvert/quick/current_config.hpp"
#include "culvert/runtime/endpoint_lookup.hpp"
#include "secret_output.hpp"

namespace culvert {
namespace {

/// Where the tunnel's sockets will be, if that is there already.
NetworkNamespace namespace_of_sockets(const Config& config) {
  try {
    if (!config.socket_namespace.empty()) return NetworkNamespace::open(config.socket_namespace);
  } catch (const std::exception&) {
  }
  return NetworkNamespace::current();
}

/// Looks names up one after the other, all together for no longer than somebody waits for an answer.
class Finder {
 public:
  explicit Finder(const NetworkNamespace& there) : lookup_(io_, there) {}

  std::vector<Endpoint> find(const EndpointName& name) {
    // An answer may come while another is waited for.
    const auto found = std::make_shared<std::optional<FoundEndpoints>>();
    lookup_.look_up(name.host, name.port, 0, [found](FoundEndpoints answer) { *found = std::move(answer); });
    while (!*found && io_.run_one_until(until_) != 0) {
    }
    return *found ? std::move((*found)->endpoints) : std::vector<Endpoint>();
  }

 private:
  boost::asio::io_context io_{1};
  const boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_ =
      boost::asio::make_work_guard(io_);
  const std::chrono::steady_clock::time_point until_ = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  EndpointLookup lookup_;
};

}  // namespace

int check_command(const std::string& file_or_name) {
  const std::string path = config_path_of(file_or_name);
  const Config config = read_config_file(path);
  const std::string name = device_name_of(path);
  Finder finder(namespace_of_sockets(config));
  const auto find = [&finder](const EndpointName& endpoint) { return finder.find(endpoint); };
  for (const std::string& warning : advice_on(config, find)) fmt::print(stderr, "{} (warning)\n", warning);
  fmt::print("{}: OK, device {}, {} address(es), {} peer(s)\n", path, name, config.addresses.size(),
             config.peers.size());
  return 0;
}

int strip_command(const std::string& file_or_name) {
  const WipedString text = to_text(read_config_file(config_path_of(file_or_name)), ConfigText::ForWg);
  warn_if_others_can_read_output();
  write_secret(text);
  return 0;
}

int save_command(const std::string& file_or_name) {
  const std::string path = config_path_of(file_or_name);
  save_config(path, device_name_of(path), JournalFolder());
  return 0;
}

}  // namespace culvert
