// Serving one benchmark of one peer.
#include "culvert/bench/bench_server.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "culvert/base/printable.hpp"
#include "culvert/io/socket_address.hpp"
#include "culvert/runtime/bench_order.hpp"
#include "culvert/runtime/log.hpp"
#include "far_role.hpp"
#include "rate_watch.hpp"
#include "refused.hpp"
#include "role_channel.hpp"

namespace culvert {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Kind = RoleMessage::Kind;

/// For a connection, for its token, and between two things to do.
constexpr auto idle_max = 30s;
constexpr auto token_patience = 5s;
constexpr std::size_t candidates_max = 8;
constexpr uid_t nobody = 65534;

BenchOrder read_order(const UniqueFd& from) {
  BenchOrder order;
  if (::read(from.get(), &order, sizeof order) != static_cast<ssize_t>(sizeof order)) {
    throw std::runtime_error(std::string(bench_command_word) + " is for culvert itself: see culvert bench --help");
  }
  order.device.back() = '\0';
  return order;
}

/// Whether root is root of the machine: /proc/self/uid_map maps all numbers to themselves then.
bool is_in_first_user_namespace() {
  std::ifstream map("/proc/self/uid_map");
  std::uint64_t inside = 0, outside = 0, count = 0;
  // In doubt it is.
  return !(map >> inside >> outside >> count) || (inside == 0 && outside == 0 && count >= UINT32_MAX);
}

/// Whoever speaks to a stranger has no rights at all.
void drop_rights() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw_refused("giving rights up");
  const bool has_changed = ::setgroups(0, nullptr) == 0 && ::setresgid(nobody, nobody, nobody) == 0 &&
                           ::setresuid(nobody, nobody, nobody) == 0;
  // A user namespace may not know this number: there it stays who it is, without rights.
  if (!has_changed && ::geteuid() == 0 && is_in_first_user_namespace()) throw_refused("ceasing to be root");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, 2> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) throw_refused("giving rights up");
}

/// Of each family that the device has; made while there is the right to large buffers.
struct Sinks {
  explicit Sinks(const std::string& device)
      : v4(make({.address = Address(), .device = device})),
        v6(make({.address = Address::from_bytes(Family::V6, std::array<std::byte, 16>{}), .device = device})) {}

  static UniqueFd make(const LoadAddress& here) {
    try {
      return make_udp_sink(here);
    } catch (const std::system_error&) {
      return {};
    }
  }

  UniqueFd v4, v6;
};

/// Another user number takes the wish to die with the parent away, so this comes last.
void die_with(pid_t daemon) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) throw_refused("binding its life to the daemon's");
  if (::getppid() != daemon) throw std::runtime_error("the daemon is gone");
}

/// A connection that has not brought the whole token yet.
struct Candidate {
  UniqueFd connection;
  Clock::time_point until;
  std::array<std::byte, key_size> token{};
  std::size_t size = 0;
};

enum class Look { Waits, Right, Wrong };

Look look_at(Candidate& candidate, const BenchToken& token) {
  const ByteSpan rest = ByteSpan(candidate.token).subspan(candidate.size);
  const ssize_t got = ::recv(candidate.connection.get(), rest.data(), rest.size(), MSG_DONTWAIT);
  if (got < 0 && is_nothing_yet(errno)) return Clock::now() > candidate.until ? Look::Wrong : Look::Waits;
  if (got <= 0) return Look::Wrong;
  candidate.size += static_cast<std::size_t>(got);
  if (candidate.size < candidate.token.size()) return Look::Waits;
  const bool is_right = equal_in_constant_time(candidate.token, token.bytes());
  wipe(candidate.token);
  return is_right ? Look::Right : Look::Wrong;
}

/// The connection that begins with the token; others are closed.
UniqueFd admit(const UniqueFd& listener, const BenchToken& token) {
  std::vector<Candidate> candidates;
  const auto until = Clock::now() + idle_max;
  while (Clock::now() < until) {
    std::vector<pollfd> entries{{.fd = listener.get(), .events = POLLIN, .revents = 0}};
    for (const Candidate& candidate : candidates) {
      entries.push_back({.fd = candidate.connection.get(), .events = POLLIN, .revents = 0});
    }
    if (::poll(entries.data(), entries.size(), 250) < 0 && errno != EINTR) throw_refused("waiting for a connection");
    for (std::size_t i = candidates.size(); i-- > 0;) {
      const Look look = look_at(candidates[i], token);
      if (look == Look::Right) return std::move(candidates[i].connection);
      if (look == Look::Wrong) candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if ((entries[0].revents & POLLIN) == 0) continue;
    UniqueFd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection.is_open()) continue;
    // Whoever has waited for longest without the token makes room.
    if (candidates.size() == candidates_max) candidates.erase(candidates.begin());
    candidates.push_back({std::move(connection), Clock::now() + token_patience, {}, 0});
  }
  throw std::runtime_error("nobody came with the token");
}

Address unmapped(const Address& address) {
  static const Prefix mapped = *Prefix::parse("::ffff:0:0/96");
  if (address.is_v4() || !mapped.contains(address)) return address;
  return Address::from_bytes(Family::V4, address.bytes().subspan(12));
}

template <class Name>
Address address_of(int socket, const Name& name) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (name(socket, reinterpret_cast<sockaddr*>(&storage), &size) != 0) throw_refused("reading an address");
  const auto endpoint = from_socket_address(storage, size);
  if (!endpoint) throw std::runtime_error("a connection of an unknown family");
  return unmapped(endpoint->address);
}

bool is_sender(FarRole role) {
  return role == FarRole::TcpSend || role == FarRole::UdpSend;
}
bool is_receiver(FarRole role) {
  return role == FarRole::TcpReceive || role == FarRole::UdpReceive;
}

class Session {
 public:
  Session(UniqueFd connection, const BenchOrder& order, Sinks&& sinks)
      : until_(Clock::now() + std::chrono::seconds(order.seconds)),
        channel_(std::move(connection)),
        incoming_(order.rate, Clock::now()),
        outgoing_(order.rate, Clock::now()) {
    place_.here = {address_of(channel_.fd(), ::getsockname), order.device.data()};
    place_.near_end = address_of(channel_.fd(), ::getpeername);
    place_.rate_limit = order.rate;
    place_.sink = std::move(place_.near_end.is_v4() ? sinks.v4 : sinks.v6);
    if (!place_.sink.is_open()) throw std::runtime_error("no packets can be received at " + place_.here.device);
    if (!ended_.is_open()) throw_refused("making an event");
  }

  void live() {
    RoleMessage ready;
    ready.kind = Kind::Ready;
    channel_.send(ready);
    auto idle_until = Clock::now() + idle_max;
    for (;;) {
      wait();
      // One at a time: who never ceases to talk does not keep the limits from being looked at.
      if (const auto message = channel_.receive(0ms)) {
        control_bytes_ += role_message_size;
        take(*message);
        if (message->kind == Kind::Start) idle_until = Clock::now() + idle_max;
      }
      if (!report()) return;
      if (!roles_.empty()) idle_until = Clock::now() + idle_max;
      if (Clock::now() > idle_until) return end("nothing was asked for half a minute");
      if (Clock::now() > until_) return end("its time is over");
    }
  }

 private:
  void wait() {
    std::array<pollfd, 2> entries{
        {{.fd = channel_.fd(), .events = POLLIN, .revents = 0}, {.fd = ended_.get(), .events = POLLIN, .revents = 0}}};
    if (::poll(entries.data(), entries.size(), 250) < 0 && errno != EINTR) throw_refused("waiting");
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t nothing = ::read(ended_.get(), &count, sizeof count);
  }

  void take(const RoleMessage& message) {
    const auto same = std::ranges::find(roles_, message.role, [](const auto& running) { return running->role(); });
    if (message.kind == Kind::Stop) {
      if (same != roles_.end() && (*same)->trial() == message.trial) (*same)->stop(message.numbers[0]);
      return;
    }
    if (message.kind != Kind::Start) throw std::runtime_error("the near end says what is for the far end");
    RoleMessage answer;
    answer.kind = Kind::Started;
    answer.role = message.role;
    answer.trial = message.trial;
    // Two of a direction would share the limit.
    const bool is_taken = std::ranges::any_of(roles_, [&](const auto& running) {
      return running->role() == message.role || (is_sender(running->role()) && is_sender(message.role)) ||
             (is_receiver(running->role()) && is_receiver(message.role));
    });
    try {
      if (is_taken) throw std::runtime_error("a trial of that direction is under way");
      const auto on_end = [fd = ended_.get()] {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t told = ::write(fd, &one, sizeof one);
      };
      roles_.push_back(std::make_unique<RunningRole>(message, place_, on_end));
      answer.port = roles_.back()->port();
    } catch (const std::exception& error) {
      answer.kind = Kind::Failed;
      answer.text = printable(error.what());
    }
    channel_.send(answer);
  }

  /// What came of roles, and whether all of them together keep to the limit. False when that was the end.
  bool report() {
    double in = std::exchange(control_bytes_, 0);
    double out = 0;
    for (std::size_t i = roles_.size(); i-- > 0;) {
      RunningRole& role = *roles_[i];
      const bool has_ended = role.has_ended();
      const Moved moved = role.take_moved();
      in += moved.in;
      out += moved.out;
      if (!has_ended) {
        if (role.is_overdue()) role.stop(0);
        continue;
      }
      channel_.send(role.outcome());
      roles_.erase(roles_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (!incoming_.take(in, Clock::now())) {
      end("it sends more than AllowBench allows here");
      return false;
    }
    if (!outgoing_.take(out, Clock::now())) {
      end("it has more sent to it than AllowBench allows here");
      return false;
    }
    return true;
  }

  void end(const std::string& why) {
    spdlog::warn("benchmark of a peer: {}", why);
    RoleMessage message;
    message.kind = Kind::Ended;
    message.text = why;
    channel_.send(message);
  }

  Clock::time_point until_;
  RoleChannel channel_;
  UniqueFd ended_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  FarPlace place_;
  RateWatch incoming_;
  RateWatch outgoing_;
  double control_bytes_ = 0;  ///< received since the last look
  std::vector<std::unique_ptr<RunningRole>> roles_;
};

}  // namespace

int serve_bench() {
  std::optional<UniqueFd> order_fd{bench_order_fd};
  BenchOrder order = read_order(*order_fd);
  const BenchToken token{KeyView(order.token)};
  wipe(order.token);
  ::signal(SIGPIPE, SIG_IGN);
  Sinks sinks(order.device.data());
  drop_rights();
  die_with(order.daemon);
  std::optional<UniqueFd> listener{bench_listener_fd};
  UniqueFd connection = admit(*listener, token);
  listener.reset();
  order_fd.reset();
  Session session(std::move(connection), order, std::move(sinks));
  try {
    session.live();
  } catch (const std::exception& error) {
    // The other end went away, which is how a benchmark ends.
    spdlog::debug("benchmark of a peer: {}", printable(error.what()));
  }
  return 0;
}

}  // namespace culvert
