// Messages of a fixed size over TCP.
#include "role_channel.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "refused.hpp"

namespace culvert {

namespace {

constexpr std::chrono::seconds sending_patience{10};

bool wait_for(int fd, short events, std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd entry{.fd = fd, .events = events, .revents = 0};
    const int count = ::poll(&entry, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (count >= 0) return count > 0;
    if (errno != EINTR) throw_refused("waiting for the other end of the benchmark");
  }
}

}  // namespace

RoleChannel::RoleChannel(UniqueFd connection) : connection_(std::move(connection)) {
  const int on = 1;
  ::setsockopt(connection_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void RoleChannel::send(ByteView bytes) {
  const auto deadline = std::chrono::steady_clock::now() + sending_patience;
  while (!bytes.empty()) {
    const ssize_t sent = ::send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    } else if (!is_nothing_yet(errno) || !wait_for(connection_.get(), POLLOUT, deadline)) {
      throw_refused("telling the other end of the benchmark");
    }
  }
}

std::optional<RoleMessage> RoleChannel::receive(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const auto room = std::as_writable_bytes(std::span(&wire_, 1));
  for (;;) {
    const ByteSpan rest = room.subspan(received_);
    const ssize_t size = ::recv(connection_.get(), rest.data(), rest.size(), MSG_DONTWAIT);
    if (size == 0) throw std::runtime_error("the other end of the benchmark has closed the connection");
    if (size > 0) {
      received_ += static_cast<std::size_t>(size);
      if (received_ < room.size()) continue;
      received_ = 0;
      auto message = parse_role_message(wire_);
      if (!message) throw std::runtime_error("the other end of the benchmark says what makes no sense");
      return message;
    }
    if (!is_nothing_yet(errno)) throw_refused("hearing from the other end of the benchmark");
    if (!wait_for(connection_.get(), POLLIN, deadline)) return std::nullopt;
  }
}

}  // namespace culvert
