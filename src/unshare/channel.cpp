// Messages over a pair of sockets.
#include "culvert/unshare/channel.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace culvert {

namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

bool polls(int fd, short events) noexcept {
  pollfd ready{fd, events, 0};
  return ::poll(&ready, 1, 0) == 1 && (ready.revents & events) != 0;
}

}  // namespace

std::pair<Channel, Channel> Channel::make_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) fail("making a pair of sockets");
  return {Channel(ends[0]), Channel(ends[1])};
}

void Channel::send(char kind, std::string_view text, std::span<const int> descriptors) const {
  text = text.substr(0, text_max);
  // sendmsg() only reads what iovec, made for both directions, points to.
  std::array<iovec, 2> pieces{{{&kind, 1}, {const_cast<char*>(text.data()), text.size()}}};
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  std::vector<std::byte> control(descriptors.empty() ? 0 : CMSG_SPACE(descriptors.size_bytes()));
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) fail("sending a message to another process of ours");
}

std::optional<ChannelMessage> Channel::receive() const {
  ChannelMessage received;
  received.text.resize(text_max);
  std::array<iovec, 2> pieces{{{&received.kind, 1}, {received.text.data(), received.text.size()}}};
  std::vector<std::byte> control(CMSG_SPACE(descriptors_max * sizeof(int)));
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  do {
    size = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  // A process that was killed with messages unread.
  if (size == 0 || (size < 0 && errno == ECONNRESET)) return std::nullopt;
  if (size < 0) fail("receiving a message from another process of ours");
  received.text.resize(static_cast<std::size_t>(size) - 1);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    std::vector<int> numbers((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(numbers.data(), CMSG_DATA(header), numbers.size() * sizeof(int));
    for (const int number : numbers) received.descriptors.emplace_back(number);
  }
  return received;
}

bool Channel::is_readable() const noexcept {
  return polls(fd_.get(), POLLIN);
}

bool Channel::is_other_end_closed() const noexcept {
  return polls(fd_.get(), POLLHUP);
}

}  // namespace culvert
