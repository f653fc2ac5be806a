// Having a child make a socket in a namespace of another owner.
#include "culvert/netns/netlink_with_its_owner.hpp"

#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "culvert/netns/interface.hpp"

namespace culvert {

namespace {

/// A descriptor goes along with one byte (SCM_RIGHTS in unix(7)).
struct Parcel {
  Parcel() {
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
  }
  char byte = 0;
  iovec piece{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
};

bool send_descriptor(int through, int fd) {
  Parcel parcel;
  cmsghdr* const header = CMSG_FIRSTHDR(&parcel.message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return ::sendmsg(through, &parcel.message, MSG_NOSIGNAL) == 1;
}

UniqueFd receive_descriptor(int through) {
  Parcel parcel;
  ssize_t size = 0;
  do {
    size = ::recvmsg(through, &parcel.message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  const cmsghdr* const header = size == 1 ? CMSG_FIRSTHDR(&parcel.message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return {};
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return UniqueFd(fd);
}

/// In the child, where only system calls may be made. Returns errno, or 0.
int make_socket(int owner, int space, int through) {
  // EINVAL: it is the user namespace that the caller is in already, where its rights were not enough.
  if (::setns(owner, CLONE_NEWUSER) != 0) return errno == EINVAL ? EPERM : errno;
  if (::setns(space, CLONE_NEWNET) != 0) return errno;
  const int made = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  sockaddr_nl any{};
  any.nl_family = AF_NETLINK;
  const bool is_sent = made >= 0 && ::bind(made, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0 &&
                       send_descriptor(through, made);
  return is_sent ? 0 : errno;
}

[[noreturn]] void refuse(int error) {
  throw std::system_error(error, std::system_category(), "cannot be entered");
}

}  // namespace

Netlink netlink_with_its_owner(const NetworkNamespace& space) {
  try {
    return netlink_in(space);
  } catch (const std::system_error& error) {
    if (error.code().value() != EPERM) throw;
  }
  const UniqueFd owner(::ioctl(space.fd(), NS_GET_USERNS));
  if (!owner.is_open()) refuse(EPERM);
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) refuse(errno);
  const UniqueFd near(ends[0]);
  UniqueFd far(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) refuse(errno);
  if (child == 0) ::_exit(make_socket(owner.get(), space.fd(), far.get()));
  far.reset();
  UniqueFd socket = receive_descriptor(near.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!socket.is_open()) refuse(WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EPERM);
  return Netlink(std::move(socket));
}

}  // namespace culvert
