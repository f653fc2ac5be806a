// Collecting outgoing datagrams and handing them to the kernel.
#include "culvert/io/datagram_batch.hpp"

#include <linux/udp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "culvert/io/socket_address.hpp"

namespace culvert {

namespace {

// The most a UDP datagram over IPv4 can carry: 65535 less 20 bytes of IP and 8 of UDP header.
constexpr std::size_t largest_datagram = 65507;

constexpr std::size_t control_size =
    CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(std::uint16_t));

// UDP_MAX_SEGMENTS (include/linux/udp.h) as it was for long; newer kernels take 128.
constexpr std::size_t train_max = 64;

// How many flushes after a refusal trains are tried again: routes and MTUs change.
constexpr unsigned refusal_flushes = 1024;

// Writes control messages one after the other into zeroed memory.
class ControlWriter {
 public:
  explicit ControlWriter(std::byte* memory) noexcept : memory_(memory) {}

  template <class T>
  void put(int level, int type, const T& value) noexcept {
    cmsghdr header{};
    header.cmsg_len = CMSG_LEN(sizeof value);
    header.cmsg_level = level;
    header.cmsg_type = type;
    std::memcpy(memory_ + size_, &header, sizeof header);
    std::memcpy(memory_ + size_ + CMSG_LEN(0), &value, sizeof value);
    size_ += CMSG_SPACE(sizeof value);
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  std::byte* memory_;
  std::size_t size_ = 0;
};

// The interface index is given for link-local sources only, which mean nothing without one. For others it would bind
// the route to that interface, and IPv4 takes every destination for a neighbour there once the route is gone (kernel
// ip_route_output_key_hash_rcu); kernel WireGuard leaves the interface to routing as well (send4, send6).
void put_source(ControlWriter& controls, const Path& path) noexcept {
  const ByteView source = path.local->bytes();
  if (path.local->is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, source.data(), sizeof info.ipi_spec_dst);
    controls.put(IPPROTO_IP, IP_PKTINFO, info);
    return;
  }
  in6_pktinfo info{};
  std::memcpy(&info.ipi6_addr, source.data(), sizeof info.ipi6_addr);
  if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) info.ipi6_ifindex = path.interface_index;
  controls.put(IPPROTO_IPV6, IPV6_PKTINFO, info);
}

bool may_be_source(int error) noexcept {
  switch (error) {
    case EINVAL:
    case EADDRNOTAVAIL:
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTUNREACH:
    case ENODEV:
    case ENXIO:
      return true;
    default:
      return false;
  }
}

bool is_congestion(int error) noexcept {
  return error == EAGAIN || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

struct DatagramBatch::Storage {
  // Everything one mmsghdr points to.
  struct Message {
    Path path;
    std::uint8_t traffic_class;
    bool is_source_forgotten;
    bool is_closed;            // ends with a shorter datagram
    bool is_probe;             // must not be fragmented
    std::size_t segment_size;  // of each datagram but the last
    std::size_t count;         // of datagrams
    sockaddr_storage remote;
    alignas(cmsghdr) std::array<std::byte, control_size> control;
    iovec memory;
  };

  // Messages of one family, so that each goes to its socket in one piece.
  struct Queue {
    explicit Queue(std::size_t capacity) : headers(capacity), messages(capacity) {}
    std::vector<mmsghdr> headers;
    std::vector<Message> messages;
    std::size_t count = 0;
  };

  Storage(UdpSocketPair& socket_pair, std::size_t datagrams, std::size_t byte_count)
      : sockets(socket_pair),
        arena(std::make_unique_for_overwrite<std::byte[]>(byte_count)),
        arena_size(byte_count),
        capacity(datagrams),
        v4(datagrams),
        v6(datagrams) {}

  void append() noexcept {
    Queue& queue = reserved_path.remote.address.is_v4() ? v4 : v6;
    if (may_join(queue)) {
      Message& train = queue.messages[queue.count - 1];
      train.memory.iov_len += reserved_size;
      train.is_closed = reserved_size < train.segment_size;
      ++train.count;
      used += std::exchange(reserved_size, 0);
      return;
    }
    Message& message = queue.messages[queue.count];
    message.path = reserved_path;
    message.traffic_class = reserved_traffic_class;
    message.is_source_forgotten = false;
    message.is_closed = false;
    message.is_probe = reserved_is_probe;
    message.segment_size = reserved_size;
    message.count = 1;
    message.memory = {arena.get() + used, reserved_size};
    mmsghdr& header = queue.headers[queue.count];
    header = {};
    header.msg_hdr.msg_name = &message.remote;
    header.msg_hdr.msg_namelen = to_socket_address(reserved_path.remote, message.remote);
    header.msg_hdr.msg_iov = &message.memory;
    header.msg_hdr.msg_iovlen = 1;
    ++queue.count;
    used += std::exchange(reserved_size, 0);
  }

  [[nodiscard]] bool may_join(const Queue& queue) const noexcept {
    if (queue.count == 0) return false;
    const Message& train = queue.messages[queue.count - 1];
    const bool is_adjacent =
        static_cast<const std::byte*>(train.memory.iov_base) + train.memory.iov_len == arena.get() + used;
    const UdpSocket* socket = &queue == &v4 ? sockets.v4.get() : sockets.v6.get();
    return is_adjacent && !train.is_closed && !train.is_probe && !reserved_is_probe &&
           reserved_size <= train.segment_size && train.count < train_max &&
           train.memory.iov_len + reserved_size <= largest_datagram && train.segment_size <= segment_size_max &&
           train.traffic_class == reserved_traffic_class && train.path == reserved_path && socket != nullptr &&
           socket->segments();
  }

  static void write_controls(Message& message, msghdr& header) noexcept {
    message.control = {};
    ControlWriter controls(message.control.data());
    const bool is_v4 = message.path.remote.address.is_v4();
    if (message.path.local && message.path.local->is_v4() == is_v4) put_source(controls, message.path);
    if (message.traffic_class != 0) {
      const int traffic_class = message.traffic_class;
      controls.put(is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_TOS : IPV6_TCLASS, traffic_class);
    }
    if (message.count > 1) {
      controls.put(IPPROTO_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(message.segment_size));
    }
    header.msg_control = controls.size() == 0 ? nullptr : message.control.data();
    header.msg_controllen = controls.size();
  }

  // For the datagram at `from` and those after it along the same path, which would fail the same way.
  static void forget_source(Queue& queue, std::size_t from) noexcept {
    const Path path = queue.messages[from].path;
    for (std::size_t i = from; i < queue.count; ++i) {
      Message& message = queue.messages[i];
      if (message.path != path) continue;
      message.path.local.reset();
      message.is_source_forgotten = true;
      write_controls(message, queue.headers[i].msg_hdr);
    }
  }

  // The kernel's reasons in udp_send_skb() and __ip_append_data(): no checksums on the way out; segments that would be
  // fragmented.
  static bool refuses_train(int error) noexcept { return error == EIO || error == EINVAL || error == EMSGSIZE; }

  // One by one what the kernel did not take as one. False when it has no room for more.
  [[nodiscard]] bool send_split(Queue& queue, std::size_t at, const UdpSocket& socket) noexcept {
    Message& message = queue.messages[at];
    msghdr& header = queue.headers[at].msg_hdr;
    const iovec whole = message.memory;
    std::size_t left = std::exchange(message.count, 1);
    write_controls(message, header);
    std::size_t offset = 0;
    bool is_taken = false;
    bool is_source_to_blame = false;
    bool has_room = true;
    while (has_room && offset < whole.iov_len) {
      message.memory = {static_cast<std::byte*>(whole.iov_base) + offset,
                        std::min(message.segment_size, whole.iov_len - offset)};
      ++counters.calls;
      if (::sendmsg(socket.fd(), &header, MSG_DONTWAIT) >= 0) {
        counters.source_forgotten += message.is_source_forgotten;
        ++counters.sent;
        ++counters.messages;
        is_taken = true;
      } else if (errno == EINTR) {
        continue;
      } else if (may_be_source(errno) && message.path.local) {
        forget_source(queue, at);
        is_source_to_blame = true;
        continue;
      } else if (is_congestion(errno)) {
        counters.refused += left;
        has_room = false;
      } else {
        ++counters.refused;
      }
      --left;
      offset += message.memory.iov_len;
    }
    if (is_taken && !is_switched_off && !is_source_to_blame) {
      segment_size_max = std::min(segment_size_max, message.segment_size - 1);
      flushes_until_retry = refusal_flushes;
    }
    return has_room;
  }

  void send_probe(Queue& queue, std::size_t at, const UdpSocket& socket) noexcept {
    Message& message = queue.messages[at];
    socket.set_fragmenting(false);
    counters.calls += 3;
    while (::sendmsg(socket.fd(), &queue.headers[at].msg_hdr, MSG_DONTWAIT) < 0) {
      if (errno == EINTR) continue;
      if (may_be_source(errno) && message.path.local) {
        forget_source(queue, at);
        continue;
      }
      counters.refused += errno != EMSGSIZE;
      return socket.set_fragmenting(true);
    }
    counters.source_forgotten += message.is_source_forgotten;
    ++counters.sent;
    ++counters.messages;
    socket.set_fragmenting(true);
  }

  // How many messages from `at` on leave in one call.
  [[nodiscard]] static std::size_t run_length(const Queue& queue, std::size_t at) noexcept {
    std::size_t end = at;
    while (end < queue.count && !queue.messages[end].is_probe) ++end;
    return end - at;
  }

  void send(Queue& queue, const UdpSocket* socket) noexcept {
    for (std::size_t i = 0; i < queue.count; ++i) write_controls(queue.messages[i], queue.headers[i].msg_hdr);
    std::size_t at = 0;
    while (socket != nullptr && at < queue.count) {
      if (queue.messages[at].is_probe) {
        send_probe(queue, at++, *socket);
        continue;
      }
      ++counters.calls;
      const int result =
          ::sendmmsg(socket->fd(), &queue.headers[at], static_cast<unsigned>(run_length(queue, at)), MSG_DONTWAIT);
      if (result > 0) {
        const auto sent = static_cast<std::size_t>(result);
        for (std::size_t i = at; i < at + sent; ++i) {
          const Message& message = queue.messages[i];
          counters.source_forgotten += message.is_source_forgotten ? message.count : 0;
          counters.sent += message.count;
        }
        counters.messages += sent;
        at += sent;
      } else if (errno == EINTR) {
        continue;
      } else if (is_congestion(errno)) {
        break;
      } else if (queue.messages[at].count > 1 && refuses_train(errno)) {
        if (errno == EIO) {
          is_switched_off = true;
          segment_size_max = 0;
          flushes_until_retry = 0;
        }
        if (!send_split(queue, at++, *socket)) break;
      } else if (may_be_source(errno) && queue.messages[at].path.local) {
        forget_source(queue, at);
      } else {
        counters.refused += queue.messages[at++].count;
      }
    }
    for (; at < queue.count; ++at) counters.refused += queue.messages[at].count;
    queue.count = 0;
  }

  void flush() noexcept {
    if (flushes_until_retry != 0 && --flushes_until_retry == 0) segment_size_max = largest_datagram;
    send(v4, sockets.v4.get());
    send(v6, sockets.v6.get());
    used = 0;
  }

  UdpSocketPair& sockets;
  std::unique_ptr<std::byte[]> arena;
  std::size_t arena_size;
  std::size_t used = 0;
  std::size_t capacity;
  Queue v4;
  Queue v6;
  // The open reservation lies behind what is used; size 0: none is open.
  Path reserved_path;
  std::uint8_t reserved_traffic_class = 0;
  std::size_t reserved_size = 0;
  bool reserved_is_probe = false;
  SendCounters counters;
  std::size_t segment_size_max = largest_datagram;  // of trains
  unsigned flushes_until_retry = 0;
  bool is_switched_off = false;
};

DatagramBatch::DatagramBatch(UdpSocketPair& sockets, std::size_t datagrams, std::size_t bytes)
    : storage_(
          std::make_unique<Storage>(sockets, std::max<std::size_t>(datagrams, 1), std::max(bytes, largest_datagram))) {}

DatagramBatch::~DatagramBatch() = default;

ByteSpan DatagramBatch::reserve(const Path& path, std::uint8_t traffic_class, std::size_t size) noexcept {
  Storage& storage = *storage_;
  storage.reserved_size = 0;
  if (size > largest_datagram) return {};
  const bool is_full =
      storage.v4.count + storage.v6.count == storage.capacity || size > storage.arena_size - storage.used;
  if (is_full) storage.flush();
  storage.reserved_path = path;
  storage.reserved_traffic_class = traffic_class;
  storage.reserved_size = size;
  storage.reserved_is_probe = false;
  return {storage.arena.get() + storage.used, size};
}

ByteSpan DatagramBatch::reserve_probe(const Path& path, std::uint8_t traffic_class, std::size_t size) noexcept {
  const ByteSpan memory = reserve(path, traffic_class, size);
  storage_->reserved_is_probe = true;
  return memory;
}

void DatagramBatch::commit() noexcept {
  if (storage_->reserved_size != 0) storage_->append();
}

void DatagramBatch::flush() noexcept {
  storage_->reserved_size = 0;
  storage_->flush();
}

std::size_t DatagramBatch::size() const noexcept {
  return storage_->used;
}

std::string_view DatagramBatch::refusal() const noexcept {
  if (storage_->is_switched_off) return "the interface on the way computes no checksums (EIO)";
  if (storage_->segment_size_max < largest_datagram) return "the largest go one by one: a path has a smaller MTU";
  return {};
}

const SendCounters& DatagramBatch::counters() const noexcept {
  return storage_->counters;
}

}  // namespace culvert
