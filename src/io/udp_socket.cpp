// Binding UDP sockets and receiving from them in batches.
#include "culvert/io/udp_socket.hpp"

#include <linux/udp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "culvert/io/socket_address.hpp"
#include "errors.hpp"

namespace culvert {

namespace {

constexpr int buffer_bytes = 8 << 20;
constexpr int port_tries = 100;
constexpr int error_tries = 16;

// Room for packet info, traffic class of either family, and segment size.
constexpr std::size_t control_size = CMSG_SPACE(sizeof(in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int));

bool set_option(int fd, int level, int option, int value) noexcept {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

// The forced variants pass net.core.{r,w}mem_max but need CAP_NET_ADMIN.
void enlarge_buffers(int fd) noexcept {
  if (!set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes)) set_option(fd, SOL_SOCKET, SO_RCVBUF, buffer_bytes);
  if (!set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, buffer_bytes)) set_option(fd, SOL_SOCKET, SO_SNDBUF, buffer_bytes);
}

// Discovery of the path MTU stays off as in kernel WireGuard (drivers/net/wireguard/socket.c): outer packets carry no
// DF bit and are fragmented on the way. IP_RECVERR stays off, so that an ICMP error never surfaces at an unrelated
// call.
bool set_family_options(int fd, Family family) noexcept {
  if (family == Family::V4) {
    return set_option(fd, IPPROTO_IP, IP_PKTINFO, 1) && set_option(fd, IPPROTO_IP, IP_RECVTOS, 1) &&
           set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  }
  return set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) && set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
         set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1) &&
         set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
}

std::uint16_t bound_port(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) < 0) {
    throw_system_error(errno, "cannot read the port of a UDP socket");
  }
  const auto endpoint = from_socket_address(address, length);
  return endpoint ? endpoint->port : std::uint16_t{0};
}

std::string hint_for_bind(int error) {
  switch (error) {
    case EADDRINUSE:
      return " (another program uses this port: choose another one, or find that program with 'ss -ulpn')";
    case EACCES:
      return " (ports below 1024 need root or CAP_NET_BIND_SERVICE)";
    default:
      return "";
  }
}

// Errors about some datagram sent earlier, not about receiving.
bool is_passing(int error) noexcept {
  switch (error) {
    case EINTR:
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EMSGSIZE:
    case EPROTO:
    case EACCES:
      return true;
    default:
      return false;
  }
}

template <class T>
T read_control(const cmsghdr* control) noexcept {
  T value;
  std::memcpy(&value, CMSG_DATA(control), sizeof value);
  return value;
}

void read_controls(msghdr& message, ReceivedDatagram& datagram) noexcept {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      const auto info = read_control<in_pktinfo>(control);
      datagram.path.local = Address::from_bytes(Family::V4, std::as_bytes(std::span(&info.ipi_addr, 1)));
      datagram.path.interface_index = static_cast<std::uint32_t>(info.ipi_ifindex);
    } else if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_TOS) {
      datagram.traffic_class = read_control<std::uint8_t>(control);
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      const auto info = read_control<in6_pktinfo>(control);
      datagram.path.local = Address::from_bytes(Family::V6, std::as_bytes(std::span(&info.ipi6_addr, 1)));
      datagram.path.interface_index = info.ipi6_ifindex;
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_TCLASS) {
      datagram.traffic_class = static_cast<std::uint8_t>(read_control<int>(control));
    } else if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == UDP_GRO) {
      const int size = read_control<int>(control);
      if (size > 0) datagram.segment_size = static_cast<std::size_t>(size);
    }
  }
}

// The socket of one family, or nothing where the system lacks that family.
std::unique_ptr<UdpSocket> bind_if_supported(Family family, std::uint16_t port, std::uint32_t firewall_mark,
                                             bool with_offloads, bool is_shared) {
  try {
    return std::make_unique<UdpSocket>(UdpSocket::bind(family, port, firewall_mark, with_offloads, is_shared));
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::address_family_not_supported) return nullptr;
    throw;
  }
}

UdpSocketPair bind_once(std::uint16_t port, std::uint32_t firewall_mark, bool with_offloads, bool is_shared) {
  UdpSocketPair pair;
  pair.v4 = bind_if_supported(Family::V4, port, firewall_mark, with_offloads, is_shared);
  pair.v6 = bind_if_supported(Family::V6, pair.v4 ? pair.v4->port() : port, firewall_mark, with_offloads, is_shared);
  if (!pair.v4 && !pair.v6) {
    throw_system_error(EAFNOSUPPORT,
                       "cannot bind UDP port " + std::to_string(port) + " (neither IPv4 nor IPv6 is there)");
  }
  return pair;
}

}  // namespace

struct ReceiveBatch::Storage {
  struct Slot {
    sockaddr_storage address;
    alignas(cmsghdr) std::array<std::byte, control_size> control;
    iovec memory;
  };

  Storage(std::size_t slot_count, std::size_t slot_bytes)
      // Not initialized: pages that no datagram reaches are never touched and cost nothing.
      : bytes(std::make_unique_for_overwrite<std::byte[]>(slot_count * slot_bytes)),
        slot_size(slot_bytes),
        slots(slot_count),
        messages(slot_count),
        datagrams(slot_count) {}

  void rearm() noexcept {
    for (std::size_t i = 0; i < slots.size(); ++i) {
      Slot& slot = slots[i];
      slot.memory = {bytes.get() + i * slot_size, slot_size};
      messages[i].msg_hdr = {&slot.address, sizeof slot.address, &slot.memory, 1, slot.control.data(), control_size, 0};
    }
  }

  std::unique_ptr<std::byte[]> bytes;
  std::size_t slot_size;
  std::vector<Slot> slots;
  std::vector<mmsghdr> messages;
  std::vector<ReceivedDatagram> datagrams;
};

ReceiveBatch::ReceiveBatch(std::size_t slots, std::size_t slot_size)
    : storage_(std::make_unique<Storage>(slots, slot_size)) {}
ReceiveBatch::~ReceiveBatch() = default;

std::size_t ReceiveBatch::slots() const noexcept {
  return storage_->slots.size();
}

UdpSocket UdpSocket::bind(Family family, std::uint16_t port, std::uint32_t firewall_mark, bool with_offloads,
                          bool is_shared) {
  const bool is_v4 = family == Family::V4;
  const std::string what = "cannot bind UDP port " + std::to_string(port) + " for " + (is_v4 ? "IPv4" : "IPv6");
  UniqueFd fd(::socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
  if (!fd.is_open()) throw_system_error(errno, what);
  if (!set_family_options(fd.get(), family)) throw_system_error(errno, what);
  if (is_shared && !set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1)) throw_system_error(errno, what);
  enlarge_buffers(fd.get());
  UdpSocket socket(std::move(fd), family, port);
  if (with_offloads) {
    socket.merges_ = set_option(socket.fd(), IPPROTO_UDP, UDP_GRO, 1);
    // Only to find out whether the kernel knows it: the size comes with each datagram.
    socket.segments_ = set_option(socket.fd(), IPPROTO_UDP, UDP_SEGMENT, 0);
  }
  if (firewall_mark != 0) {
    if (const auto marked = socket.set_firewall_mark(firewall_mark); marked.has_error()) {
      throw_system_error(marked.error().value(), what + " with firewall mark " + std::to_string(firewall_mark) +
                                                     " (marks need CAP_NET_ADMIN: run as root or without a mark)");
    }
  }
  const Endpoint anywhere{Address::from_bytes(family, std::array<std::byte, 16>{}), port, 0};
  sockaddr_storage address{};
  const socklen_t length = to_socket_address(anywhere, address);
  if (::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), length) < 0) {
    const int error = errno;
    throw_system_error(error, what + hint_for_bind(error));
  }
  socket.port_ = bound_port(socket.fd());
  return socket;
}

Result<void> UdpSocket::set_firewall_mark(std::uint32_t mark) noexcept {
  if (::setsockopt(fd_.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0) return last_error();
  return {};
}

void UdpSocket::set_fragmenting(bool may_fragment) const noexcept {
  // PROBE also leaves path MTUs out of account that the kernel has learned: larger ones are to be tried (ip(7)).
  if (family_ == Family::V4) {
    set_option(fd(), IPPROTO_IP, IP_MTU_DISCOVER, may_fragment ? IP_PMTUDISC_DONT : IP_PMTUDISC_PROBE);
  } else {
    set_option(fd(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, may_fragment ? IPV6_PMTUDISC_DONT : IPV6_PMTUDISC_PROBE);
  }
}

Result<std::span<const ReceivedDatagram>> UdpSocket::try_receive(ReceiveBatch& batch) noexcept {
  auto& storage = *batch.storage_;
  int received = -1;
  for (int tries = 0; received < 0; ++tries) {
    storage.rearm();
    received = ::recvmmsg(fd_.get(), storage.messages.data(), static_cast<unsigned>(storage.messages.size()),
                          MSG_DONTWAIT, nullptr);
    if (received >= 0) break;
    const bool is_nothing_there = errno == EAGAIN || (is_passing(errno) && tries == error_tries);
    if (is_nothing_there) return std::span<const ReceivedDatagram>();
    if (!is_passing(errno)) return last_error();
  }
  std::size_t used = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(received); ++i) {
    mmsghdr& message = storage.messages[i];
    const auto remote = from_socket_address(storage.slots[i].address, message.msg_hdr.msg_namelen);
    if (!remote) continue;
    ReceivedDatagram& datagram = storage.datagrams[used++];
    auto* const memory = static_cast<std::byte*>(storage.slots[i].memory.iov_base);
    datagram = {ByteSpan(memory, message.msg_len), message.msg_len, {*remote, std::nullopt, 0}, 0, false};
    datagram.is_truncated = (message.msg_hdr.msg_flags & MSG_TRUNC) != 0;
    read_controls(message.msg_hdr, datagram);
  }
  return std::span<const ReceivedDatagram>(storage.datagrams).first(used);
}

UdpSocketPair UdpSocketPair::bind(std::uint16_t port, std::uint32_t firewall_mark, bool with_offloads) {
  // A port the kernel picks for IPv4 may be taken in IPv6.
  for (int tries = 1;; ++tries) {
    try {
      return bind_once(port, firewall_mark, with_offloads, false);
    } catch (const std::system_error& error) {
      if (port != 0 || tries == port_tries || error.code() != std::errc::address_in_use) throw;
    }
  }
}

std::vector<UdpSocketPair> UdpSocketPair::bind_group(std::size_t count, std::uint16_t port, std::uint32_t firewall_mark,
                                                     bool with_offloads) {
  std::vector<UdpSocketPair> group;
  group.push_back(bind(port, firewall_mark, with_offloads));
  if (count <= 1) return group;
  // Shared only once it is ours alone: a group would otherwise join what another program of this user has there.
  for (const UdpSocket* socket : {group.front().v4.get(), group.front().v6.get()}) {
    if (socket && !set_option(socket->fd(), SOL_SOCKET, SO_REUSEPORT, 1)) {
      throw_system_error(errno, "cannot share UDP port " + std::to_string(socket->port()) + " between workers");
    }
  }
  const std::uint16_t chosen = group.front().port();
  while (group.size() < count) group.push_back(bind_once(chosen, firewall_mark, with_offloads, true));
  return group;
}

}  // namespace culvert
