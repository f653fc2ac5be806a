// Making the sockets of both ends.
#include "culvert/bench/load_sockets.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "culvert/io/socket_address.hpp"
#include "refused.hpp"

namespace culvert {

namespace {

constexpr int sink_buffer = 8 << 20;

template <class Value>
bool set(const UniqueFd& socket, int level, int option, const Value& value) noexcept {
  return ::setsockopt(socket.get(), level, option, &value, sizeof value) == 0;
}

// FORCE passes net.core.rmem_max, but is for the machine's root alone.
void enlarge_receive_buffer(const UniqueFd& socket) noexcept {
  if (!set(socket, SOL_SOCKET, SO_RCVBUFFORCE, sink_buffer)) set(socket, SOL_SOCKET, SO_RCVBUF, sink_buffer);
}

void limit_waiting(const UniqueFd& socket) {
  const timeval wait{.tv_sec = 0, .tv_usec = std::chrono::microseconds(load_wait).count()};
  if (!set(socket, SOL_SOCKET, SO_RCVTIMEO, wait) || !set(socket, SOL_SOCKET, SO_SNDTIMEO, wait)) {
    throw_refused("cannot limit the waiting of a socket");
  }
}

void forget_at_closing(const UniqueFd& socket) {
  if (!set(socket, SOL_SOCKET, SO_LINGER, linger{.l_onoff = 1, .l_linger = 0})) {
    throw_refused("cannot have a socket forget what it has not sent");
  }
}

UniqueFd make_bound(int kind, const LoadAddress& here) {
  const std::string what = std::string(kind == SOCK_DGRAM ? "UDP" : "TCP") + " socket at " + here.address.to_string();
  UniqueFd socket(::socket(here.address.is_v4() ? AF_INET : AF_INET6, kind | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) throw_refused("cannot make a " + what);
  if (!here.device.empty() && ::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, here.device.data(),
                                           static_cast<socklen_t>(here.device.size())) < 0) {
    throw_refused("cannot bind a " + what + " to device '" + here.device + "'");
  }
  limit_waiting(socket);
  sockaddr_storage address;
  const socklen_t size = to_socket_address({.address = here.address, .port = 0, .scope_id = 0}, address);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) < 0)
    throw_refused("cannot bind a " + what);
  return socket;
}

bool never_fragment(const UniqueFd& socket, Family family) noexcept {
  return family == Family::V4 ? set(socket, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
                              : set(socket, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
}

// Whether something happens on the socket within this time.
bool wait_for(int socket, short events, std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd entry{.fd = socket, .events = events, .revents = 0};
    const int count = ::poll(&entry, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (count > 0) return true;
    if (count == 0) return false;
    if (errno != EINTR) throw_refused("cannot wait for a connection");
  }
}

void finish_connecting(int socket, const std::string& what, std::chrono::milliseconds patience) {
  int error = ETIMEDOUT;
  if (wait_for(socket, POLLOUT, std::chrono::steady_clock::now() + patience)) {
    socklen_t size = sizeof error;
    if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
  }
  errno = error;
  if (error != 0) throw_refused(what);
}

}  // namespace

UniqueFd make_udp_sink(const LoadAddress& here) {
  UniqueFd socket = make_bound(SOCK_DGRAM, here);
  enlarge_receive_buffer(socket);
  // Answers to round trips are not to be fragmented either.
  if (!never_fragment(socket, here.address.family())) throw_refused("cannot forbid fragments");
  return socket;
}

std::vector<UniqueFd> make_udp_senders(const LoadAddress& here, const Endpoint& sink, unsigned flows) {
  std::vector<UniqueFd> sockets;
  sockaddr_storage address;
  const socklen_t size = to_socket_address(sink, address);
  for (unsigned flow = 0; flow < flows; ++flow) {
    UniqueFd socket = make_bound(SOCK_DGRAM, here);
    if (!never_fragment(socket, here.address.family())) throw_refused("cannot forbid fragments");
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) < 0) {
      throw_refused("cannot send from " + here.address.to_string() + " to " + sink.to_string());
    }
    sockets.push_back(std::move(socket));
  }
  return sockets;
}

UniqueFd make_tcp_listener(const LoadAddress& here) {
  UniqueFd socket = make_bound(SOCK_STREAM, here);
  if (::listen(socket.get(), SOMAXCONN) < 0) throw_refused("cannot listen at " + here.address.to_string());
  return socket;
}

UniqueFd connect_tcp(const LoadAddress& here, const Endpoint& listener, std::chrono::milliseconds patience) {
  const std::string what = "cannot connect from " + here.address.to_string() + " to " + listener.to_string();
  UniqueFd socket = make_bound(SOCK_STREAM, here);
  sockaddr_storage address;
  const socklen_t size = to_socket_address(listener, address);
  // A blocking connect waits for SO_SNDTIMEO, and goes on afterwards.
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    if (errno != EINPROGRESS && errno != EALREADY && errno != EINTR) throw_refused(what);
    finish_connecting(socket.get(), what, patience);
  }
  forget_at_closing(socket);
  return socket;
}

UniqueFd accept_tcp(int listener, const Address& from, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const std::string what = "no connection from " + from.to_string();
  for (;;) {
    if (!wait_for(listener, POLLIN, deadline)) {
      errno = ETIMEDOUT;
      throw_refused(what);
    }
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    UniqueFd socket(::accept4(listener, reinterpret_cast<sockaddr*>(&address), &size, SOCK_CLOEXEC));
    if (!socket.is_open()) {
      if (is_nothing_yet(errno) || errno == ECONNABORTED) continue;
      throw_refused(what);
    }
    forget_at_closing(socket);
    const auto peer = from_socket_address(address, size);
    if (!peer || peer->address != from) continue;
    limit_waiting(socket);
    return socket;
  }
}

Endpoint local_endpoint(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) < 0) throw_refused("cannot read an address");
  const auto endpoint = from_socket_address(address, size);
  errno = EAFNOSUPPORT;
  if (!endpoint) throw_refused("cannot read an address");
  return *endpoint;
}

}  // namespace culvert
