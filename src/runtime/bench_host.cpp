// Being measured by a peer.
#include "culvert/runtime/bench_host.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>
#include <system_error>
#include <utility>

#include "culvert/io/clock.hpp"
#include "culvert/io/netlink.hpp"
#include "culvert/io/socket_address.hpp"
#include "culvert/runtime/bench_interface.hpp"
#include "culvert/runtime/bench_order.hpp"

namespace culvert {
namespace asio = boost::asio;
namespace {

/// Longer than the longest sweep.
/// For the process to end by itself, whose time begins with the token.
constexpr std::chrono::seconds patience{60};

[[noreturn]] void refuse(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

/// On a port that the kernel chooses, for either family, on the interface alone.
UniqueFd listen_on(const BenchInterface& interface, bool has_v6, std::uint16_t& port) {
  UniqueFd listener(::socket(has_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int off = 0;
  if (!listener.is_open() ||
      ::setsockopt(listener.get(), SOL_SOCKET, SO_BINDTODEVICE, interface.name.data(),
                   static_cast<socklen_t>(interface.name.size())) != 0 ||
      (has_v6 && ::setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) ||
      ::listen(listener.get(), 16) != 0) {
    refuse("listening on the device");
  }
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) refuse("listening");
  port = from_socket_address(address, size).value().port;
  return listener;
}

struct Pipe {
  UniqueFd reading;
  UniqueFd writing;
};

/// From which `order` can be read.
Pipe pipe_with(const BenchOrder& order) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) refuse("making a pipe");
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  // A pipe holds more than that.
  if (::write(pipe.writing.get(), &order, sizeof order) != static_cast<ssize_t>(sizeof order)) {
    refuse("writing to a pipe");
  }
  return pipe;
}

/// A copy beyond the descriptors that the process is to have.
UniqueFd moved_up(const UniqueFd& fd) {
  UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, bench_order_fd + 1));
  if (!copy.is_open()) refuse("duplicating a descriptor");
  return copy;
}

/// This program once more. Between the two there is no code of ours: other threads may hold any lock.
pid_t spawn(const UniqueFd& listener, const UniqueFd& order) {
  const UniqueFd high_listener = moved_up(listener);
  const UniqueFd high_order = moved_up(order);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none;
  sigset_t ignored;
  sigemptyset(&none);
  sigemptyset(&ignored);
  sigaddset(&ignored, SIGPIPE);
  int failed = ::posix_spawn_file_actions_init(&actions);
  if (failed == 0) failed = ::posix_spawnattr_init(&attributes);
  if (failed == 0) failed = ::posix_spawn_file_actions_adddup2(&actions, high_listener.get(), bench_listener_fd);
  if (failed == 0) failed = ::posix_spawn_file_actions_adddup2(&actions, high_order.get(), bench_order_fd);
  if (failed == 0) failed = ::posix_spawnattr_setsigmask(&attributes, &none);
  if (failed == 0) failed = ::posix_spawnattr_setsigdefault(&attributes, &ignored);
  if (failed == 0) failed = ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string program = "culvert";
  std::string command = bench_command_word;
  std::array<char*, 3> arguments{program.data(), command.data(), nullptr};
  std::array<char*, 1> environment{nullptr};
  pid_t pid = -1;
  if (failed == 0) {
    failed = ::posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, arguments.data(), environment.data());
  }
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) throw std::system_error(failed, std::system_category(), "starting a process to be measured against");
  return pid;
}

BenchAnswer copy_of(const BenchAnswer& answer) {
  BenchAnswer copy;
  copy.number = answer.number;
  copy.verdict = answer.verdict;
  copy.port = answer.port;
  copy.mtu = answer.mtu;
  copy.seconds = answer.seconds;
  copy.rate = answer.rate;
  copy.token = answer.token.clone();
  copy.v4 = answer.v4;
  copy.v6 = answer.v6;
  return copy;
}

}  // namespace

/// The process, until its end was noticed.
struct BenchHost::Serving {
  explicit Serving(asio::io_context& io) : ended(io), deadline(io) {}
  ~Serving() {
    if (pid < 0) return;
    ::kill(pid, SIGKILL);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;

  void watch(pid_t process) {
    pid = process;
    const long fd = ::syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) refuse("watching a process");
    ended.assign(static_cast<int>(fd));
  }
  /// Whether the token has come.
  [[nodiscard]] bool has_begun() const noexcept {
    pollfd entry{.fd = order.get(), .events = 0, .revents = 0};
    return ::poll(&entry, 1, 0) > 0 && (entry.revents & POLLERR) != 0;
  }

  pid_t pid = -1;
  UniqueFd order;  ///< the writing end, which has no reader any more when the token has come
  asio::posix::stream_descriptor ended;
  asio::steady_timer deadline;
  PublicKey peer;
  BenchAnswer answer;
};

BenchHost::~BenchHost() {
  end();
}

void BenchHost::end() noexcept {
  if (!serving_) return;
  boost::system::error_code ignored;
  serving_->ended.close(ignored);
  serving_->deadline.cancel(ignored);
  serving_.reset();
}

void BenchHost::allow(std::unordered_map<PublicKey, std::uint64_t> rates) {
  rates_ = std::move(rates);
  if (!serving_) return;
  const auto rate = rates_.find(serving_->peer);
  if (rate == rates_.end() || rate->second != serving_->answer.rate) end();
}

void BenchHost::asked(PeerId id, const TunDevice* tun) {
  std::optional<BenchNumber> number;
  PublicKey key;
  {
    const auto engine = device_.engine();
    const Peer* peer = engine->find_peer(id);
    if (!peer) return;
    key = peer->public_key();
    number = engine->take_bench_request(id);
  }
  if (!number) return;
  BenchAnswer answer = decide(key, *number, tun);
  device_.engine()->answer_bench(id, std::move(answer), read_clocks());
  device_.settings_changed();
}

BenchAnswer BenchHost::decide(const PublicKey& peer, const BenchNumber& number, const TunDevice* tun) {
  BenchAnswer answer;
  answer.number = number;
  const auto rate = rates_.find(peer);
  std::string why;
  if (rate == rates_.end()) {
    answer.verdict = BenchVerdict::NotAllowed;
    why = "AllowBench does not allow it";
  } else if (serving_ && serving_->peer == peer && serving_->answer.number == number) {
    // The first answer was lost.
    return copy_of(serving_->answer);
  } else if (serving_ && (serving_->peer != peer || serving_->has_begun())) {
    answer.verdict = BenchVerdict::Busy;
    why = "peer " + device_.labels.of(serving_->peer) + " runs one";
  } else {
    // Of the same peer, which got no way to it, or has given up.
    end();
    try {
      if (!tun) throw std::runtime_error("there is no device at present");
      answer = begin(peer, rate->second, *tun);
      answer.number = number;
      if (serving_) serving_->answer = copy_of(answer);
      if (!serving_) why = tun->name() + " has no address, nor has a bridge that it is a port of";
    } catch (const std::exception& error) {
      answer.verdict = BenchVerdict::Failed;
      why = error.what();
    }
  }
  if (why.empty()) {
    spdlog::info("peer {}: begins a benchmark", device_.labels.of(peer));
  } else if (log_.allow(read_clocks().time)) {
    spdlog::warn("peer {}: wants to run a benchmark, and may not: {}", device_.labels.of(peer), why);
  }
  return answer;
}

BenchAnswer BenchHost::begin(const PublicKey& peer, std::uint64_t rate, const TunDevice& tun) {
  BenchAnswer answer;
  auto where = tun.network_namespace();
  if (!where) throw std::runtime_error("the device is gone");
  const ScopedNamespace inside(NetworkNamespace::adopt(std::move(*where)));
  Netlink netlink;
  const BenchInterface interface = find_bench_interface(netlink, tun.name());
  answer.v4 = interface.v4;
  answer.v6 = interface.v6;
  if (answer.v4.is_unspecified() && answer.v6.is_unspecified()) {
    answer.verdict = BenchVerdict::NoAddress;
    return answer;
  }
  const UniqueFd listener = listen_on(interface, !answer.v6.is_unspecified(), answer.port);
  answer.verdict = BenchVerdict::Granted;
  answer.mtu = static_cast<std::uint16_t>(std::min<std::uint32_t>(interface.mtu, 65535));
  answer.seconds = bench_seconds_max;
  answer.rate = rate;
  SystemRandom().fill(answer.token.writable_bytes());

  BenchOrder order;
  copy_bytes(answer.token.bytes(), order.token);
  order.rate = rate;
  order.seconds = bench_seconds_max;
  order.daemon = ::getpid();
  interface.name.copy(order.device.data(), order.device.size() - 1);
  Pipe pipe = pipe_with(order);
  wipe(order.token);
  const auto serving = std::make_shared<Serving>(io_);
  serving->peer = peer;
  serving->order = std::move(pipe.writing);
  serving->watch(spawn(listener, pipe.reading));
  serving_ = serving;
  const auto on_end = [this, weak = std::weak_ptr(serving)](boost::system::error_code failed) {
    const auto ended = weak.lock();
    if (failed || !ended || ended != serving_) return;
    spdlog::info("peer {}: its benchmark has ended", device_.labels.of(ended->peer));
    end();
  };
  serving->ended.async_wait(asio::posix::stream_descriptor::wait_read, on_end);
  const auto on_deadline = [this, weak = std::weak_ptr(serving)](boost::system::error_code failed) {
    const auto late = weak.lock();
    if (failed || !late || late != serving_) return;
    spdlog::warn("peer {}: its benchmark did not end in time, and was ended", device_.labels.of(late->peer));
    end();
  };
  serving->deadline.expires_after(std::chrono::seconds(bench_seconds_max) + patience);
  serving->deadline.async_wait(on_deadline);
  return answer;
}

}  // namespace culvert
