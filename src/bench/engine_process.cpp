// The process, and what it says of itself over a channel.
#include "culvert/bench/engine_process.hpp"

#include <fcntl.h>
#include <stdlib.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "culvert/base/drop_reason.hpp"
#include "culvert/bench/processor_time.hpp"
#include "culvert/runtime/busy_poll.hpp"
#include "culvert/runtime/log.hpp"
#include "culvert/runtime/tunnel.hpp"

namespace culvert {
namespace asio = boost::asio;
namespace {

constexpr char kind_up = 'U';    // from the engine: its paths, a line each
constexpr char kind_ask = 'A';   // to the engine
constexpr char kind_cost = 'C';  // from the engine: system calls, then reasons with packets

std::string words_of(const EngineCost& cost) {
  std::ostringstream text;
  text << cost.system_calls;
  for (const auto& [reason, packets] : cost.drops) text << ' ' << reason << ' ' << packets;
  return text.str();
}

EngineCost counted_by(Device& device) {
  EngineCost cost;
  cost.system_calls = device.system_calls();
  const DropCounters drops = device.drops();
  for (std::size_t i = 0; i < drop_reason_count; ++i) {
    const auto reason = static_cast<DropReason>(i);
    if (drops[reason] != 0) cost.drops[std::string(to_string(reason))] = drops[reason];
  }
  return cost;
}

asio::awaitable<void> answer(asio::io_context& io, asio::posix::stream_descriptor& ready, Channel& parent,
                             Device& device) {
  for (;;) {
    co_await ready.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    const auto message = parent.receive();
    if (!message) break;
    parent.send(kind_cost, words_of(counted_by(device)));
  }
  io.stop();
}

int live(const NetworkNamespace& space, Config& config, const std::string& device, const std::string& state,
         Channel& parent) {
  spdlog::set_level(spdlog::level::err);
  ::setenv("STATE_DIRECTORY", state.c_str(), 1);
  const ScopedNamespace inside(space);
  asio::io_context io{1};
  const auto busy_poll = busy_poll_of(config.busy_poll);
  Tunnel tunnel(io, std::move(config), device);
  asio::posix::stream_descriptor ready(io);
  const int copy = ::fcntl(parent.fd(), F_DUPFD_CLOEXEC, 3);
  if (copy < 0) throw std::system_error(errno, std::system_category(), "duplicating a descriptor");
  ready.assign(copy);
  asio::co_spawn(io, answer(io, ready, parent, tunnel.device()), asio::detached);
  const DataPath path = tunnel.device().data_path();
  parent.send(kind_up, path.device + "\n" + path.sending + "\n" + path.receiving);
  run_busily(io, busy_poll);
  return 0;
}

}  // namespace

EngineProcess EngineProcess::start(const NetworkNamespace& space, Config config, const std::string& device,
                                   const std::string& state) {
  NewNamespaces none;
  none.network = none.mounts = none.processes = false;
  UnsharedChild child =
      UnsharedChild::start(none, [&](Channel& parent) { return live(space, config, device, state, parent); });
  std::istringstream lines(child.await(kind_up).text);
  EnginePaths paths;
  std::getline(lines, paths.device);
  std::getline(lines, paths.sending);
  std::getline(lines, paths.receiving);
  return {std::move(child), std::move(paths)};
}

EngineCost EngineProcess::cost() {
  child_.channel().send(kind_ask);
  std::istringstream words(child_.await(kind_cost).text);
  EngineCost cost;
  words >> cost.system_calls;
  std::string reason;
  std::uint64_t packets = 0;
  while (words >> reason >> packets) cost.drops[reason] = packets;
  const auto processor = processor_time_of(child_.pid());
  if (!processor) throw std::runtime_error("an engine of the lab has ended");
  cost.processor = *processor;
  return cost;
}

}  // namespace culvert
